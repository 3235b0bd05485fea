package picture

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"postrider/qmail-send/top/ask"
	"postrider/qmail-send/top/readings"
)

// TestNotes: what has to be known comes first.
func TestNotes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*Model)
		want   string // the beginning of the first note
	}{
		{"nothing", func(*Model) {}, ""},
		{"no answer of qmail-send", func(m *Model) { m.TakeOrders(ask.Orders{}, errors.New("qmail-send is away")) }, "qmail-send is away"},
		{"a process that is down", func(m *Model) {
			r, _ := m.history.Last()
			r.Values["process_up"] = map[string]float64{"qmail-smtpd": 0, "qmail-send": 1}
		}, "qmail-smtpd does not run"},
		{"a restart", func(m *Model) {
			for i, n := range []int{1, 2} {
				r, err := readings.Read(fmt.Sprintf("postrider_process_restarts_total{program=\"qmail-smtpd\"} %d\n", n), noon.Add(time.Duration(i)*time.Second))
				m.Take(r, err)
			}
		}, "a process was started again"},
		{"restarts of before", func(m *Model) {
			r, err := readings.Read("postrider_process_restarts_total{program=\"qmail-smtpd\"} 7\n", noon.Add(time.Second))
			m.Take(r, err)
			r.At = r.At.Add(time.Second)
			m.Take(r, err)
		}, ""},
		{"a full channel", func(m *Model) { m.Log.Take("status: local 0/10 remote 20/20", noon); m.history = readings.History{} }, "all 20 remote deliveries are in use"},
		{"an alert without a time, now", func(m *Model) { m.Log.Live = true; m.Log.Take("alert: disk", noon) }, "alert: disk"},
		{"an alert of who knows when", func(m *Model) { m.Log.Take("alert: disk", noon) }, ""},
		{"an alert of yesterday", func(m *Model) {
			m.Log.Take(noon.Add(-24*time.Hour).Local().Format("2006-01-02 15:04:05")+" alert: disk", noon)
		}, ""},
		{"no figures", func(m *Model) { m.Take(readings.Reading{}, ask.ErrNoFigures) }, switchOn},
	} {
		m := quiet(t)
		r, _ := m.history.Last()
		m.seenRestarts, m.history = false, readings.History{}
		m.history.Add(r)
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
