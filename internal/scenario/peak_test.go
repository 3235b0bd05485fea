package scenario

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"postrider/internal/testhost"
)

const (
	// peakAllowed is what a process may have had in memory at once after the
	// worst input. T9 of the requirements is 20 MiB, which the log is to be read
	// for: on a busy machine the collector comes late.
	peakAllowed = 32 << 20
	// worstSize is how large the messages are, and worstHeader how large their
	// headers: more is refused.
	worstSize   = 8 << 20
	worstHeader = 1000 << 10
)

// worstMessages are hard for somebody on the way of a message.
func worstMessages() map[string]string {
	fill := func(head, unit, tail string) string {
		return head + strings.Repeat(unit, worstSize/len(unit)) + tail
	}
	header := func(head, unit, tail string) string {
		return head + strings.Repeat(unit, worstHeader/len(unit)) + tail
	}
	return map[string]string{
		"one line":            fill("Subject: x\n\n", "a", "\n"),
		"short lines":         fill("Subject: x\n\n", "a\n", ""),
		"empty lines":         fill("Subject: x\n\n", "\n", ""),
		"dots":                fill("Subject: x\n\n", ".\n", ""),
		"octets over 127":     fill("Subject: x\n\n", "\xff", "\n"),
		"lines of From":       fill("Subject: x\n\n", "From \n", ""),
		"a header only":       header("", "X: y\n", ""),
		"one field":           header("Subject: x\n", " a\n", "\n"),
		"one line of a field": header("Subject: ", "a", "\n\n"),
		"fields of addresses": header("", "To: a@b, c (d) <e@f>\n", "\n"),
		"parts in parts":      fill("Content-Type: multipart/mixed; boundary=a\n\n", "--a\nContent-Type: multipart/mixed; boundary=a\n\n", ""),
	}
}

// TestPeakMemory sends the worst messages through everybody: to a Maildir, an
// mbox, a program, a forward and another host, some of them to nobody, by SMTP
// and by sendmail, with thousands of recipients, and by way of a .qmail file of
// 4 MiB. Then it asks the kernel what each process has had in memory at most.
func TestPeakMemory(t *testing.T) {
	t.Parallel()
	network := testhost.NewNetwork(t)
	client, far := network.Host("client.example"), network.Host("far.example")
	h := mailHost(t, network, "mx1.example", "alice", "bob", "carol", "dave", "erin")
	h.Control("tcp.smtp", `:allow,RELAYCLIENT=""`)
	h.Control("verifyrcpt", "0") // some of it bounces
	h.Control("smtproutes", "endless.example:endless.example", ":far.example")
	own(h, "bob", ".qmail", "./mbox\n")
	own(h, "carol", ".qmail", "|wc -c\n&carol@far.example\n")
	own(h, "dave", ".qmail", strings.Repeat("#\n", 2<<20-20)+"./Maildir/\n")
	far.Sink(":25", nil)
	endless := network.Host("endless.example").Sink(":25", func(verb, _ string) string {
		if verb == "connect" {
			return testhost.Default
		}
		return strings.TrimSuffix(strings.Repeat("250-and so on\n", 50000), "\n")
	})
	h.StartSuite()
	everybody := []string{"alice@mx1.example", "bob@mx1.example", "carol@mx1.example", "dave@mx1.example", "x@far.example", "nobody@mx1.example"}
	for _, name := range slices.Sorted(maps.Keys(worstMessages())) {
		if err := smtp(testhost.Within(t, soon), client, h, "erin@mx1.example", everybody, worstMessages()[name]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		sendmail(h, "erin", []string{"-f", "erin@mx1.example", "alice"}, worstMessages()["one line"])
	}
	var many []string
	for i := range 4000 {
		many = append(many, fmt.Sprintf("%s%d@far.example", strings.Repeat("r", 50), i))
	}
	if err := smtp(testhost.Within(t, soon), client, h, "erin@mx1.example", many, letter("all", "to many")); err != nil {
		t.Error(err)
	}
	first := h.Log().Len()
	sendmail(h, "erin", []string{"x@endless.example"}, letter("x@endless.example", "endless"))
	h.WaitForLog(first, `^delivery \d+: (deferral|failure|success): `)
	endless.Close()
	h.Must("/var/qmail/bin/qmail-queuectl", "delete", "--to", "x@endless.example")
	waitEmpty(t, h)

	peaks := map[string]int64{}
	for _, p := range h.Daemons() {
		peaks[p.Name] = max(peaks[p.Name], h.PeakMemory(p.PID))
	}
	for _, name := range slices.Sorted(maps.Keys(peaks)) {
		t.Logf("peak: %s %.1f MiB", name, float64(peaks[name])/(1<<20))
		if peaks[name] > peakAllowed {
			t.Errorf("%s had %d KiB in memory, want at most %d", name, peaks[name]>>10, peakAllowed>>10)
		}
	}
	h.StopSuite()
}
