package smtpd

import (
	"strings"
	"testing"
)

// TestRequireTLS: REQUIRETLS (RFC 8689) is offered and taken inside TLS only,
// and kept for the next host.
func TestRequireTLS(t *testing.T) {
	t.Parallel()
	h := tlsHost(t, nil)
	plain := h.dial()
	plain.play("S: 220 *\nC: EHLO client.example.net\n")
	if got := plain.reply(); strings.Contains(got, "REQUIRETLS") {
		t.Errorf("EHLO in plain text: %s", got)
	}
	plain.play("C: MAIL FROM:<joe@example.net> REQUIRETLS\nS: 530 5.7.10 REQUIRETLS needs TLS (#5.7.10)\n" +
		"C: RCPT TO:<jim@example.com>\nS: 503 *" + bye)
	c, _ := h.startTLS(clientConfig())
	c.play("C: EHLO client.example.net\n")
	if got := c.reply(); !strings.Contains(got, "REQUIRETLS") {
		t.Errorf("EHLO inside TLS: %s", got)
	}
	c.play("C: MAIL FROM:<joe@example.net> REQUIRETLS=yes\nS: 501 5.5.4 REQUIRETLS takes no value (#5.5.4)\n" +
		"C: MAIL FROM:<joe@example.net> REQUIRETLS REQUIRETLS\nS: 501 5.5.4 *\n" +
		"C: MAIL FROM:<joe@example.net> requiretls RET=HDRS\nS: 250 *\nC: RCPT TO:<jim@example.com>\nS: 250 *\nC: DATA\nS: 354 *\n" +
		"R: x\\r\\n.\\r\\n\nS: 250 *\n" +
		"C: MAIL FROM:<joe@example.net>\nS: 250 *\nC: RCPT TO:<jim@example.com>\nS: 250 *\nC: DATA\nS: 354 *\n" +
		"R: y\\r\\n.\\r\\n\nS: 250 *" + bye)
	got := h.spool.messages()
	want := []string{"Fjoe@example.net R rHDRS Tjim@example.com \"x\\n\"", "Fjoe@example.net Tjim@example.com \"y\\n\""}
	if len(got) != len(want) {
		t.Fatalf("%d messages", len(got))
	}
	for i, m := range got {
		if m.String() != want[i] {
			t.Errorf("got %s\nwant %s", m, want[i])
		}
	}
}
