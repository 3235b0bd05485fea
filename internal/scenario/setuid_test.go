package scenario

import (
	"strings"
	"testing"

	"postrider/internal/testhost"
)

// TestSetuidPrograms shows that a program of a user cannot gain the rights of a
// setuid program, and that control/setuidprograms allows it.
func TestSetuidPrograms(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice")
	h.Must("cp", "/bin/touch", "/usr/sbin/touchroot")
	h.Must("chmod", "4755", "/usr/sbin/touchroot")
	h.Must("chmod", "1777", "/tmp")
	for _, c := range []struct{ allow, owner, nnp string }{{"0", "alice", "1"}, {"1", "root", "0"}} {
		h.Control("setuidprograms", c.allow)
		h.StartSuite()
		own(h, "alice", ".qmail", "|/usr/sbin/touchroot /tmp/by"+c.allow+"; grep NoNewPrivs /proc/self/status > /tmp/status"+c.allow+"\n")
		sendmail(h, "alice", []string{"alice"}, letter("alice", "m"))
		waitEmpty(t, h)
		if got := strings.TrimSpace(h.Must("stat", "-c", "%U", "/tmp/by"+c.allow)); got != c.owner {
			t.Errorf("setuidprograms %s: the program ran as %s, want %s", c.allow, got, c.owner)
		}
		if got := strings.Fields(h.ReadFile("/tmp/status" + c.allow))[1]; got != c.nnp {
			t.Errorf("setuidprograms %s: NoNewPrivs %s, want %s", c.allow, got, c.nnp)
		}
		h.StopSuite()
	}
}
