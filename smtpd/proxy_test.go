package smtpd

import (
	"io"
	"net"
	"strings"
	"testing"
)

const fromClient = "PROXY TCP4 192.0.2.77 198.51.100.2 1025 25\\r\\n"

func proxyHost(t *testing.T, files map[string]string, words ...string) *host {
	t.Helper()
	if files == nil {
		files = map[string]string{}
	}
	if files["proxyhosts"] == "" {
		files["proxyhosts"] = "127.0.0.0/8\n::1\n"
	}
	h := startHost(t, files)
	h.giveKeys(serverKey(t, ""))
	h.listenAs(append(words, "proxy")...)
	return h
}

// The client's address counts everywhere.
func TestProxy(t *testing.T) {
	t.Parallel()
	h := proxyHost(t, map[string]string{"tcp.smtp": "192.0.2.78:deny\n192.0.2.79:allow,RELAYCLIENT=\"\"\n:allow\n", "concurrencysmtpip": "1\n"})
	c := h.dial()
	c.play("R: " + fromClient + "EHLO client.example.net\\r\\n\nS: 220 *\nS: 250-*\n" +
		"C: MAIL FROM:<joe@example.net>\nS: 250 *\nC: RCPT TO:<jim@example.com>\nS: 250 *\nC: DATA\nS: 354 *\nR: x\\r\\n.\\r\\n\nS: 250 *")
	if got := h.spool.messages()[0].text; !strings.Contains(got, "(192.0.2.77)\n") {
		t.Errorf("got %q", got)
	}
	h.expectLog("accepted session=1 ip=192.0.2.77 ")
	h.dial().play("R: " + fromClient + "\nS: 421 4.7.0 too many connections from your address (#4.7.0)\nS: <end>")
	h.dial().play("R: " + strings.Replace(fromClient, "77", "78", 1) + "\nS: 554 5.7.1 sorry, no mail from your address (#5.7.1)\nS: <end>")
	h.dial().play("R: " + strings.Replace(fromClient, "77", "79", 1) + "\nS: 220 *\nC: MAIL FROM:<>\nS: 250 *\nC: RCPT TO:<a@far.example>\nS: 250 *" + bye)
	h.dial().play(`R: \r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x50\xc6\x33\x64\x02\x04\x01\x00\x19` + "\nS: 220 *" + bye)
	h.expectLog("ip=192.0.2.80 ")
	// The proxy itself, which looks whether we live.
	h.dial().play("R: PROXY UNKNOWN\\r\\n\nS: 220 *" + bye)
	c.play("C: QUIT\nS: 221 *\nS: <end>")
	h.free(0)
}

func TestProxyTurnsAway(t *testing.T) {
	t.Parallel()
	h := proxyHost(t, nil)
	h.dial().play("C: EHLO client.example.net\nS: <end>")
	h.expectLog("proxy failed ip=127.0.0.1 why=no_header_of_the_PROXY_protocol")
	silent := h.dial()
	silent.play("S: <end>")
	h.expectLog("i/o_timeout")
	h = proxyHost(t, map[string]string{"proxyhosts": "192.0.2.1\n"})
	h.dial().play("R: " + fromClient + "\nS: 554 5.7.1 sorry, this port is for proxies (#5.7.1)\nS: <end>")
	h = proxyHost(t, map[string]string{"proxyhosts": "-"})
	h.dial().play("R: " + fromClient + "\nS: 554 *\nS: <end>")
}

// The header comes before the handshake.
func TestProxyAndTLS(t *testing.T) {
	t.Parallel()
	h := proxyHost(t, nil, "tls")
	raw, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if _, err := io.WriteString(raw, strings.ReplaceAll(fromClient, `\r\n`, "\r\n")); err != nil {
		t.Fatal(err)
	}
	c, _ := h.shake(raw, clientConfig())
	c.play("S: 220 *" + bye)
	h.expectLog("connect session=1 ip=192.0.2.77 port=1025")
}
