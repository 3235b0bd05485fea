package inject

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// worstHeaders are headers of nearly the largest size that are the hardest for
// some part of the code.
func worstHeaders() []struct{ name, text string } {
	fill := func(s string) string { return strings.Repeat(s, (maxHeader-100)/len(s)) }
	long := strings.Repeat("b", 60)
	return []struct{ name, text string }{
		{"realistic recipients", "Bcc: " + fill("someone@example.org,\n ") + "joe@example.org\n"},
		{"as many recipients as there may be", "To: a" + strings.Repeat(",a@b", maxAddresses-1) + fill("\n ")[:1<<20] + "\n"},
		{"as many in fields of their own", strings.Repeat("To:a\n", maxAddresses) + "X: " + fill("y")[:2<<20] + "\n"},
		{"too many recipients", "To: " + fill("a,") + "a\n"},
		{"words without commas", "To: " + fill("a ") + "\n"},
		{"long names", "To: " + fill("\"Joe, Public\" <joe@"+long+">, ") + "a@b\n"},
		{"empty fields", fill("To:\n") + "Cc: a\n"},
		{"unknown fields", fill("a:\n") + "Cc: a\n"},
		{"one long unknown field", "X: " + fill("a\n ") + "\nCc: a\n"},
		{"fields that name nobody", fill("To: a\n") + "Resent-To: b\n"},
		{"open comments", "To: " + fill("(") + "\n"},
		{"empty comments", "To: " + fill("()") + "a\n"},
		{"closed comments", "To: " + fill("(a) a@b, ") + "a\n"},
		{"open quotes", "To: \"" + fill(`\"`) + "\n"},
		{"quoted strings", "To: " + fill(`"a" `) + "<a@b>\n"},
		{"quoted addresses", "To: " + fill(`"a b"@c,`) + "a\n"},
		{"backslashes", "To: " + fill(`\a`) + "\n"},
		{"routes", "To: " + fill("<@a,@b:c@d>,") + "a\n"},
		{"one route", "To: <" + fill("@a,") + "@b:c@d>\n"},
		{"groups", "To: " + fill("a:;") + "a\n"},
		{"open literals", "To: " + fill("[") + "\n"},
		{"ats", "To: " + fill("a@") + "\n"},
		{"dots", "To: " + fill(".") + "\n"},
		{"commas", "To: " + fill(",") + "a\n"},
		{"folds", "To: " + fill("\n ") + "a\n"},
		{"bytes over 127", "To: " + fill("\xff ") + "<a@b>\n"},
		{"carriage returns", "X: " + fill("\r") + "\nTo: a\n"},
		{"Return-Path", "Return-Path: " + fill("a@b,") + "a\nTo: a\n"},
	}
}

// The bounds of the process: a header of 4 MiB takes less than a second and
// 20 MiB (R42, R43). A busy machine may be slower; what is quadratic would take
// hours.
const (
	worstMemory = 20 << 20
	worstTime   = time.Minute
)

// TestWorstHeaders gives each to the built program.
func TestWorstHeaders(t *testing.T) {
	t.Parallel()
	for _, h := range worstHeaders() {
		t.Run(h.name, func(t *testing.T) {
			if len(h.text) > maxHeader {
				t.Fatalf("%d bytes", len(h.text))
			}
			r := runWorst(t, h.text)
			t.Logf("exit %d, %d recipients, %v, %d KiB, %.60q", r.code, len(r.recipients), r.cpu, r.memory>>10, r.stderr)
			if r.memory > worstMemory {
				t.Errorf("needed %d KiB", r.memory>>10)
			}
			if r.cpu > worstTime {
				t.Errorf("took %v", r.cpu)
			}
			if r.code == 0 && !r.queued || r.code != 0 && r.code != exitPermanent {
				t.Errorf("exit %d, queued %v, says %.200q", r.code, r.queued, r.stderr)
			}
		})
	}
}

func runWorst(t testing.TB, head string) result {
	t.Helper()
	c := &injection{
		argv: []string{"qmail-inject", "-H", "joe"}, environ: []string{"USER=user", "QMAILMFTFILE=lists"}, input: head,
		files: map[string]string{"control/me": "me.example.org\n", "lists": "joe@example.org\na@me.example.org\n"},
	}
	return c.run(t)
}

// BenchmarkWorstHeaders says what each costs: processor time and memory of the
// process.
func BenchmarkWorstHeaders(b *testing.B) {
	for _, h := range worstHeaders() {
		b.Run(h.name, func(b *testing.B) {
			b.SetBytes(int64(len(h.text)))
			var memory int64
			for b.Loop() {
				memory = max(memory, runWorst(b, h.text).memory)
			}
			b.ReportMetric(float64(memory)/(1<<20), "MiB")
		})
	}
}

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peakMemory is the largest resident set in a file like /proc/PID/status.
func peakMemory(status string) int64 {
	m := highWater.FindStringSubmatch(status)
	if m == nil {
		return 0
	}
	kib, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}
