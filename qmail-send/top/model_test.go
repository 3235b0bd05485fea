package top

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"postrider/internal/exposition"
	"postrider/internal/legible"
)

// readings makes a history, a reading a second, of a figure.
func readings(t *testing.T, name string, values ...float64) *history {
	t.Helper()
	var h history
	for i, v := range values {
		r, err := readFigures(fmt.Sprintf("postrider_%s %g\n", name, v), noon.Add(time.Duration(i)*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		h.add(r)
	}
	return &h
}

func TestRate(t *testing.T) {
	t.Parallel()
	ever := make([]float64, 200) // 1 a second, and then 3
	for i := range ever {
		ever[i] = float64(i)
		if i > 150 {
			ever[i] += 2 * float64(i-150)
		}
	}
	for _, c := range []struct {
		name   string
		values []float64
		want   float64
		known  bool
	}{
		{"nothing", nil, 0, false},
		{"one reading", []float64{5}, 0, false},
		{"two", []float64{5, 9}, 4, true},
		{"none of it", []float64{5, 5}, 0, true},
		{"several", []float64{0, 1, 5, 6}, 2, true},
		{"begun anew", []float64{100, 101, 1, 3}, 4.0 / 3, true},
		{"the last ten seconds alone", ever, 3, true},
	} {
		h := readings(t, "smtp_sessions_total", c.values...)
		got, known := h.rate("smtp_sessions_total", "")
		if math.Abs(got-c.want) > 1e-9 || known != c.known {
			t.Errorf("%s: got %v, %v, want %v, %v", c.name, got, known, c.want, c.known)
		}
		if len(h.all) > maxReadings || len(h.all) > 0 && h.all[len(h.all)-1].at.Sub(h.all[0].at) > keep {
			t.Errorf("%s: %d readings are kept", c.name, len(h.all))
		}
	}
	h := readings(t, "smtp_sessions_total", 1, 2)
	h.add(reading{at: noon.Add(-time.Hour)})
	if _, known := h.rate("smtp_sessions_total", ""); known || len(h.all) != 1 {
		t.Error("a clock that was set back makes a rate")
	}
}

// TestReadingIsBounded whatever is served.
func TestReadingIsBounded(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&b, "postrider_smtp_refusals_total{rule=\"%d\x1b%s\"} 1\nother_total{x=\"%d\"} 1\n", i, strings.Repeat("x", 100), i)
	}
	r, err := readFigures(b.String(), noon)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(r.keys("smtp_refusals_total")); n != maxSeries || len(r.values) != 1 {
		t.Errorf("%d rules of %d figures are kept", n, len(r.values))
	}
	for _, key := range r.keys("smtp_refusals_total") {
		if len(key) > maxLabel || key != legible.ASCII(key) {
			t.Errorf("the rule %q is kept", key)
		}
	}
	if _, err := readFigures("postrider_smtp_sessions x", noon); err == nil {
		t.Error("a word is taken for a number")
	}
	if _, err := readFigures(strings.Repeat("#", exposition.MaxText+1), noon); err == nil {
		t.Error("any size is read")
	}
}

// TestNotes: what has to be known comes first.
func TestNotes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*model)
		want   string // the beginning of the first note
	}{
		{"nothing", func(*model) {}, ""},
		{"no answer of qmail-send", func(m *model) { m.takeOrders(orders{}, errors.New("qmail-send is away")) }, "qmail-send is away"},
		{"a process that is down", func(m *model) {
			m.history.all[0].values["process_up"] = map[string]float64{"qmail-smtpd": 0, "qmail-send": 1}
		}, "qmail-smtpd does not run"},
		{"a restart", func(m *model) {
			for i, n := range []int{1, 2} {
				r, err := readFigures(fmt.Sprintf("postrider_process_restarts_total{program=\"qmail-smtpd\"} %d\n", n), noon.Add(time.Duration(i)*time.Second))
				m.take(r, err)
			}
		}, "a process was started again"},
		{"restarts of before", func(m *model) {
			r, err := readFigures("postrider_process_restarts_total{program=\"qmail-smtpd\"} 7\n", noon.Add(time.Second))
			m.take(r, err)
			r.at = r.at.Add(time.Second)
			m.take(r, err)
		}, ""},
		{"a full channel", func(m *model) { m.log.take("status: local 0/10 remote 20/20", noon); m.history = history{} }, "all 20 remote deliveries are in use"},
		{"an alert without a time, now", func(m *model) { m.log.live = true; m.log.take("alert: disk", noon) }, "alert: disk"},
		{"an alert of who knows when", func(m *model) { m.log.take("alert: disk", noon) }, ""},
		{"an alert of yesterday", func(m *model) {
			m.log.take(noon.Add(-24*time.Hour).Local().Format("2006-01-02 15:04:05")+" alert: disk", noon)
		}, ""},
		{"no figures", func(m *model) { m.take(reading{}, errNoFigures) }, switchOn},
	} {
		m := quiet(t)
		m.seenRestarts, m.history.all = false, m.history.all[:1]
		c.change(m)
		first := ""
		if notes := m.notes(); len(notes) > 0 {
			first = notes[0].text
		}
		if first != c.want && (c.want == "" || !strings.HasPrefix(first, c.want)) {
			t.Errorf("%s: the first note is %q, want %q", c.name, first, c.want)
		}
	}
}

// TestLog: lines in both forms, what they are about, and that few are kept.
func TestLog(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line, words string
		grave       grave
	}{
		{"new msg 17641515001234560001", "new msg 17641515001234560001", usual},
		{"delivery 1: failure: Sorry,_no_mailbox_here./", "failure ann@example.net: Sorry, no mailbox here./", trouble},
		{"delivery 2: deferral: later/", "deferral delivery 2: later/", trouble},
		{"bounce msg 17641515001234560001 qp 5", "bounce msg 17641515001234560001 qp 5", trouble},
		{"qmail-policy: warning: no answer", "qmail-policy: warning: no answer", warning},
		{"Nov 26 11:00:00 host qmail: 1764151500.123456 alert: disk", "alert: disk", warning},
		{`{"time":"2026-11-26T10:00:00.000000Z","program":"qmail-smtpd","event":"refused","session":9,"rule":"spf"}`, "qmail-smtpd: refused rule=spf session=9", usual},
		{`{"program":"qmail-send","event":"deferral","delivery":1,"said":"a_b"}`, "deferral ann@example.net: a b", trouble},
		{`{"program":"qmail-send","event":"warning","text":"disk \u001b[1m"}`, "warning disk _[1m", warning},
		{`{"x`, `{"x`, usual},
		{"\x1b]0;\xff" + strings.Repeat("y", maxLine), "_]0;_" + strings.Repeat("y", maxWords-6) + ">", usual},
	} {
		g := newLog()
		g.take("starting delivery 1: msg 17641515001234560001 to remote ann@example.net", noon)
		g.take(c.line, noon)
		got := g.events[everyLine][len(g.events[everyLine])-1]
		if got.words != c.words || got.grave != c.grave {
			t.Errorf("%q: got %q, %d, want %q, %d", c.line, got.words, got.grave, c.words, c.grave)
		}
	}
	g := newLog()
	g.take("delivery 2: deferral: later/", noon)
	g.take("alert: disk", noon)
	for i := range 3 * maxDeliveries {
		g.take(fmt.Sprintf("starting delivery %d: msg 17641515001234560001 to remote ann@example.net", i), noon)
	}
	if n := len(g.events[everyLine]); n < maxEvents || n >= 2*maxEvents || len(g.recipients) > maxDeliveries {
		t.Errorf("%d lines, %d recipients are kept", n, len(g.recipients))
	}
	if len(g.events[troubles]) != 2 || len(g.events[warnings]) != 1 {
		t.Errorf("behind many lines there are %d of trouble and %d warnings", len(g.events[troubles]), len(g.events[warnings]))
	}
	g.take("status: local 3/10 remote 4/20", noon)
	if g.running["remote"] != [2]int{4, 20} {
		t.Errorf("running: %v", g.running)
	}
}
