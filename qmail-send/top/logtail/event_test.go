package logtail

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestLog: lines in both forms, what they are about, and that few are kept.
func TestLog(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line, words string
		grave       Grave
	}{
		{"new msg 17641515001234560001", "new msg 17641515001234560001", Usual},
		{"delivery 1: failure: Sorry,_no_mailbox_here./", "failure ann@example.net: Sorry, no mailbox here./", Trouble},
		{"delivery 2: deferral: later/", "deferral delivery 2: later/", Trouble},
		{"bounce msg 17641515001234560001 qp 5", "bounce msg 17641515001234560001 qp 5", Trouble},
		{"qmail-policy: warning: no answer", "qmail-policy: warning: no answer", Warning},
		{"Nov 26 11:00:00 host qmail: 1764151500.123456 alert: disk", "alert: disk", Warning},
		{`{"time":"2026-11-26T10:00:00.000000Z","program":"qmail-smtpd","event":"refused","session":9,"rule":"spf"}`, "qmail-smtpd: refused rule=spf session=9", Usual},
		{`{"program":"qmail-send","event":"deferral","delivery":1,"said":"a_b"}`, "deferral ann@example.net: a b", Trouble},
		{`{"program":"qmail-send","event":"warning","text":"disk \u001b[1m"}`, "warning disk _[1m", Warning},
		{`{"x`, `{"x`, Usual},
		{"\x1b]0;\xff" + strings.Repeat("y", maxLine), "_]0;_" + strings.Repeat("y", MaxWords-6) + ">", Usual},
	} {
		g := NewLog()
		g.Take("starting delivery 1: msg 17641515001234560001 to remote ann@example.net", noon)
		g.Take(c.line, noon)
		got := g.Events[EveryLine][len(g.Events[EveryLine])-1]
		if got.Words != c.words || got.Grave != c.grave {
			t.Errorf("%q: got %q, %d, want %q, %d", c.line, got.Words, got.Grave, c.words, c.grave)
		}
	}
	g := NewLog()
	g.Take("delivery 2: deferral: later/", noon)
	g.Take("alert: disk", noon)
	for i := range 3 * maxDeliveries {
		g.Take(fmt.Sprintf("starting delivery %d: msg 17641515001234560001 to remote ann@example.net", i), noon)
	}
	if n := len(g.Events[EveryLine]); n < maxEvents || n >= 2*maxEvents || len(g.recipients) > maxDeliveries {
		t.Errorf("%d lines, %d recipients are kept", n, len(g.recipients))
	}
	if len(g.Events[Troubles]) != 2 || len(g.Events[Warnings]) != 1 {
		t.Errorf("behind many lines there are %d of trouble and %d warnings", len(g.Events[Troubles]), len(g.Events[Warnings]))
	}
	g.Take("status: local 3/10 remote 4/20", noon)
	if g.Running["remote"] != [2]int{4, 20} {
		t.Errorf("running: %v", g.Running)
	}
}

// noon is when what the tests read was said.
var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
