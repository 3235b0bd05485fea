package scenario

import (
	"strings"
	"testing"
	"time"

	"postrider/internal/testhost"
)

// TestMailIsDeliveredWithinASecond puts messages in with the programs that
// people use. The first one only warms the machine's caches.
func TestMailIsDeliveredWithinASecond(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice", "bob")
	h.StartSuite()
	box := h.Maildir("alice")
	h.WriteFile("/home/bob/.muttrc", "set sendmail=\"/usr/sbin/sendmail -oem -oi\"\nset use_from=yes\nset copy=no\n", 0o644)
	ways := []struct {
		name  string
		argv  []string
		stdin string
		from  string
	}{
		{"first", []string{"/usr/sbin/sendmail", "-t"}, letter("alice@mx1.example", "first"), "bob@mx1.example"},
		{"sendmail-t", []string{"/usr/sbin/sendmail", "-t"}, letter("alice@mx1.example", "sendmail-t"), "bob@mx1.example"},
		{"sendmail-args", []string{"/usr/lib/sendmail", "-oi", "-f", "boss@else.example", "alice"}, "Subject: sendmail-args\n\nbody\n", ""},
		{"inject", []string{"qmail-inject"}, letter("alice", "inject"), "bob@mx1.example"},
		{"swaks", []string{"swaks", "--server", h.IP.String(), "--from", "x@else.example", "--to", "alice@mx1.example",
			"--header", "Subject: swaks"}, "", ""},
		{"msmtp", []string{"msmtp", "--host=" + h.IP.String(), "--from=x@else.example", "alice@mx1.example"}, "Subject: msmtp\n\nbody\n", ""},
		{"mutt", []string{"mutt", "-s", "mutt", "--", "alice@mx1.example"}, "body\n", "bob@mx1.example"},
	}
	for i, way := range ways {
		h.MustRun(testhost.Command{Argv: way.argv, User: "bob", Stdin: way.stdin})
		taken := time.Now()
		messages := box.Wait(testhost.Within(t, soon), i+1)
		if took := time.Since(taken); i > 0 && took > time.Second {
			t.Errorf("%s: delivered after %v", way.name, took)
		}
		found := false
		for _, m := range messages {
			if m.Header("Subject") != way.name {
				continue
			}
			found = true
			if !strings.Contains(m.Header("From"), way.from) || m.Header("Delivered-To") != "alice@mx1.example" ||
				m.Header("Return-Path") == "" || m.Header("Date") == "" || m.Header("Message-ID") == "" {
				if way.name != "msmtp" { // it completes nothing
					t.Errorf("%s: got %s", way.name, m.Text)
				}
			}
		}
		if !found {
			t.Errorf("%s: not among %d messages", way.name, len(messages))
		}
	}
	h.StopSuite()
}
