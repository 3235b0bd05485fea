package smtpd

import (
	"strings"
	"testing"
	"time"
)

func TestAllowance(t *testing.T) {
	t.Parallel()
	a := newAllowance(func(name string) (string, bool) {
		value, set := map[string]string{"RATECONNSMTP": "7", "RATEMAILSMTP": ""}[name]
		return value, set
	})
	if got, want := a.or(allowance{1, 2, 3}), (allowance{7, 0, 3}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// The daemon counts connections over sessions, and says which rule it was.
func TestConnectionsAMinute(t *testing.T) {
	t.Parallel()
	h := startHost(t, map[string]string{"rateconnsmtp": "2\n", "tcp.smtp": ":allow\n"})
	for range 2 {
		h.dial().play(hello + bye)
	}
	h.dial().play("S: 421 4.7.0 too many connections a minute from your address, try again later (#4.7.0)\nS: <end>")
	if !strings.Contains(h.log.String(), "turned away ip=127.0.0.1 code=421 rule=rateconnsmtp") {
		t.Errorf("log:\n%s", h.log)
	}
	setControl(t, h.home, "tcp.smtp", "127.:allow,RATECONNSMTP=\"0\"\n")
	for begun := time.Now(); ; { // until the daemon looks at its files again
		if c := h.dial(); strings.HasPrefix(c.next(), "220 ") {
			break
		}
		if time.Since(begun) > patience {
			t.Fatal("the rule does not count")
		}
	}
}
