package scenario

import (
	"regexp"
	"testing"

	"postrider/internal/testhost"
)

// TestTCPTimeouts has a host that does not answer, and the tools say so, and
// have it forgotten.
func TestTCPTimeouts(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	far := net.Host("far.example")
	h := mailHost(t, net, "mx1.example", "alice")
	h.Control("timeoutconnect", "1")
	h.StartSuite()
	if got := h.Must("/var/qmail/bin/qmail-tcpto"); got != "" {
		t.Errorf("at the start: %s", got)
	}
	far.Cut()
	expectDelivery(t, h, "far.example", "deferral: Sorry,_I_wasn't_able_to_establish_an_SMTP_connection._(#4.4.1)/")
	line := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(far.IP.String()) + ` timed out \d+ seconds ago; # recent timeouts: 1$`)
	if got := h.Must("/var/qmail/bin/qmail-tcpto"); !line.MatchString(got) {
		t.Errorf("got %s\n%s", got, h.Log().Timed(0))
	}
	refused, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: []string{"/var/qmail/bin/qmail-tcpto"}, User: "alice"})
	if err != nil || refused.Code != 111 || !regexp.MustCompile(`^qmail-tcpto: fatal: `).MatchString(refused.Stdout) {
		t.Errorf("for a user: %v, %v", refused, err)
	}
	h.Must("/var/qmail/bin/qmail-tcpok")
	if got := h.Must("/var/qmail/bin/qmail-tcpto"); got != "" {
		t.Errorf("after qmail-tcpok: %s", got)
	}
	h.StopSuite()
}
