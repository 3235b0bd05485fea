package qmtp

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"postrider/internal/figures"
	"postrider/internal/wire/parent"
)

// TestRulesAreCounted: each rule that a log line names has a series of its own,
// and there is none that no line names.
func TestRulesAreCounted(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	named := []string{"other"}
	for _, program := range []protocol{qmtpProtocol, qmqpProtocol} {
		named = append(named, program.concurrency, program.concurrency+"ip")
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\b(?:rule:|denied\(client,) "([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
			named = append(named, m[1])
		}
	}
	for _, rule := range named {
		if !slices.Contains(figures.QMTPRules, rule) {
			t.Errorf("the rule %s has no series", rule)
		}
	}
	for _, rule := range figures.QMTPRules {
		if !slices.Contains(named, rule) {
			t.Errorf("no line names the rule %s", rule)
		}
	}
}

// gauges is what is told of the figures of a daemon.
type gauges struct {
	t           *testing.T
	owner, area figures.Area
}

// count has a daemon count.
func (h *host) count(t *testing.T) gauges {
	t.Helper()
	open := func(number int, program string) (*os.File, figures.Area) {
		f, err := figures.NewArea(program)
		if err != nil {
			t.Fatal(err)
		}
		read, err := figures.ReadOnly(f)
		if err != nil {
			t.Fatal(err)
		}
		area, err := figures.OpenArea(number, program, read)
		if err != nil {
			t.Fatal(err)
		}
		return f, area
	}
	file, owner := open(0, "qmail-start")
	var start figures.Counts
	if err := start.Take(figures.Layout(), file); err != nil {
		t.Fatal(err)
	}
	start.Live(1, true)
	file, area := open(1, h.d.protocol.program)
	h.send(parent.Frame{Kind: parent.Figures, Name: figures.Layout(), File: file})
	if h.wait(h.d.counts.Taken) {
		t.Fatal("nothing is counted")
	}
	return gauges{t, owner, area}
}

// of is the value of a series, -1 if there is none.
func (g gauges) of(id figures.ID, labels ...string) float64 {
	for _, family := range figures.Read(g.owner, []figures.Area{g.area}) {
		if family.Name != figures.Table()[id].Name {
			continue
		}
		for _, s := range family.Samples {
			if slices.Equal(s.Labels, labels) {
				return s.Value
			}
		}
	}
	return -1
}

func (g gauges) expect(want float64, id figures.ID, labels ...string) {
	g.t.Helper()
	if got := g.of(id, labels...); got != want {
		g.t.Errorf("%s %v: got %v, want %v", figures.Table()[id].Name, labels, got, want)
	}
}

// TestCounts: sessions, and recipients, messages and clients that are refused.
func TestCounts(t *testing.T) {
	t.Parallel()
	const program = "qmail-qmtpd"
	h := startHost(t, qmtpProtocol, map[string]string{"concurrencyqmtp": "1\n", "databytes": "10\n", "maxrcpt": "2\n"})
	g := h.count(t)
	c := h.dial()
	c.send(mail("\nx\n", "s@x", "a@example.com", "b@else.example", "c@example.com", "d@example.com"))
	c.expect(ok, notHere, "Ztoo many recipients (#4.5.3)", "Ztoo many recipients (#4.5.3)")
	c.send(mail("\n"+strings.Repeat("x", 11), "s@x", "a@example.com"))
	c.expect("Dsorry, that message size exceeds my databytes limit (#5.3.4)")
	h.dial().expect("<end>")
	g.expect(1, figures.QMTPSessions, program)
	g.expect(1, figures.QMTPSessionsBegun, program)
	g.expect(1, figures.QMTPSessionsLimit, program)
	for rule, want := range map[string]float64{"rcpthosts": 1, "maxrcpt": 2, "databytes": 1, "concurrencyqmtp": 1, "other": 0} {
		g.expect(want, figures.QMTPRefusals, program, rule)
	}
	c.conn.Close()
	if h.wait(func() bool { return g.of(figures.QMTPSessions, program) == 0 }) {
		t.Error("a session that is over is counted as open")
	}
	g.expect(1, figures.QMTPSessionsBegun, program)
	g.expect(-1, figures.QMTPSessionsLimit, "qmail-qmqpd")
}

// TestCountsQMQP: clients that control/qmqphosts does not name are counted.
func TestCountsQMQP(t *testing.T) {
	t.Parallel()
	h := startHost(t, qmqpProtocol, map[string]string{"qmqphosts": "192.0.2.1\n"})
	g := h.count(t)
	h.dial().expect("<end>")
	g.expect(1, figures.QMTPRefusals, "qmail-qmqpd", "qmqphosts")
	g.expect(0, figures.QMTPSessionsBegun, "qmail-qmqpd")
	g.expect(0, figures.QMTPRefusals, "qmail-qmtpd", "qmqphosts")
}
