package smtpd

import (
	"strings"
	"testing"
)

// The variables of a rule reach the Received line.
func TestRules(t *testing.T) {
	t.Parallel()
	h := startHost(t, map[string]string{"tcp.smtp": "127.:allow,TCPREMOTEINFO=\"joe\",TCPREMOTEHOST=\"h.example\",TCPLOCALHOST=\"l.example\"\n"})
	h.dial().play(transaction + "C: DATA\nS: 354 *\nR: x\\r\\n.\\r\\n\nS: 250 *" + bye)
	want := "Received: from h.example (HELO client.example.net) (joe@127.0.0.1)\n  by l.example with SMTP; "
	if m := h.spool.messages(); len(m) != 1 || !strings.HasPrefix(m[0].text, want) {
		t.Errorf("queued %q", m)
	}
}
