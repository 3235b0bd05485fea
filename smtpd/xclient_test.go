package smtpd

import (
	"strings"
	"testing"
)

// The client's address counts for the log, the Received line and the limits.
func TestXclient(t *testing.T) {
	t.Parallel()
	h := startHost(t, map[string]string{"xclienthosts": "127.0.0.1\n", "concurrencysmtpip": "2\n"})
	c := h.dial()
	c.play(hello + "C: XCLIENT NAME=spike.example ADDR=192.0.2.7 PORT=1025 HELO=helo.example DESTADDR=198.51.100.2 DESTPORT=587\nS: 220 *\n" +
		"C: MAIL FROM:<joe@example.net>\nS: 250 *\nC: RCPT TO:<jim@example.com>\nS: 250 *\nC: DATA\nS: 354 *\nR: x\\r\\n.\\r\\n\nS: 250 *")
	if got := h.spool.messages()[0].text; !strings.HasPrefix(got, "Received: from spike.example (HELO helo.example) (192.0.2.7)\n") {
		t.Errorf("got %q", got)
	}
	h.expectLog("accepted session=1 ip=192.0.2.7 helo=helo.example")
	// Two of 127.0.0.1, besides.
	second, third := h.dial(), h.dial()
	second.play(hello + "C: XCLIENT ADDR=192.0.2.7\nS: 220 *")
	third.play(hello + "C: XCLIENT ADDR=192.0.2.7\nS: 421 4.7.0 too many connections from your address (#4.7.0)\nS: <end>")
	c.play("C: QUIT\nS: 221 *\nS: <end>")
	second.play("C: QUIT\nS: 221 *\nS: <end>")
	h.free(0)
	if sessions, addresses := h.d.limits.Open(); sessions != 0 || addresses != 0 {
		t.Errorf("left: %d sessions from %d addresses", sessions, addresses)
	}
}

func FuzzXclient(f *testing.F) {
	for _, seed := range []string{"ADDR=192.0.2.7", "NAME=a+20b HELO=[UNAVAILABLE]", "ADDR=IPV6:::1 PORT=25", "PROTO=ESMTP LOGIN=x DESTADDR=1.2.3.4 DESTPORT=1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, argument string) {
		told, ok := parseAttributes(argument)
		if !ok {
			return
		}
		for name, value := range told {
			if len(value) > maxPath || strings.ContainsAny(value, "\r\n\x00") {
				t.Fatalf("%s=%q", name, value)
			}
		}
		x := xclients{}
		if x.take(told) && x.remote.IsValid() && x.remote.Addr().Zone() != "" {
			t.Fatalf("%v", x.remote)
		}
	})
}
