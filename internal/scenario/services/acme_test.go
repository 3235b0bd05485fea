package services

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"
	"time"

	"postrider/internal/testhost"
)

// TestCertificateHook runs the hook of contrib/acme as certbot, lego and dehydrated
// do: clients see each new certificate, nobody but root can read it, and a name of
// its own has its own.
func TestCertificateHook(t *testing.T) {
	t.Parallel()
	h := serviceHost(t)
	contrib(t, h, "acme/postrider", "/etc/postrider-acme")
	h.GiveKey()
	shell(t, h, "mkdir -p /var/qmail/control/servercerts/mx2.example /etc/live")
	h.StartSuite()
	for _, c := range []struct{ name, shown, run string }{
		{"certbot", hostName, "RENEWED_LINEAGE=/etc/live RENEWED_DOMAINS='mx1.example www.example' /etc/postrider-acme"},
		{"lego", hostName, "LEGO_CERT_DOMAIN=mx1.example LEGO_CERT_PATH=/etc/live/fullchain.pem LEGO_CERT_KEY_PATH=/etc/live/privkey.pem /etc/postrider-acme"},
		{"dehydrated", hostName, "/etc/postrider-acme deploy_cert mx1.example /etc/live/privkey.pem /etc/live/cert.pem /etc/live/fullchain.pem /etc/live/chain.pem 1"},
		{"another name", "mx2.example", "RENEWED_LINEAGE=/etc/live RENEWED_DOMAINS=mx2.example /etc/postrider-acme"},
	} {
		// The name in it is not what is asked for: it tells certificates apart.
		shell(t, h, "cd /etc/live; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj '/CN="+c.name+"' -addext subjectAltName=DNS:"+c.shown+" -keyout privkey.pem -out fullchain.pem 2>/dev/null")
		first := h.Log().Len()
		shell(t, h, "/etc/postrider-acme unchanged_cert; "+c.run)
		h.WaitForLog(first, `qmail-tlskey: `)
		var got string
		for end := time.Now().Add(soon); got != c.name && time.Now().Before(end); {
			got = shownTo(t, h, c.shown) // a handshake that had begun has the one before
		}
		if got != c.name {
			t.Errorf("%s: clients see %q\n%s", c.name, got, h.Log().Timed(first))
		}
	}
	if modes := shell(t, h, "stat -c '%U %a' /var/qmail/control/servercert.pem /var/qmail/control/servercerts/mx2.example/servercert.pem"); modes != "root 600\nroot 600\n" {
		t.Errorf("the files have %s", modes)
	}
	if result, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: []string{"/etc/postrider-acme"}}); err != nil || result.Code != 2 {
		t.Errorf("without anything: %v, %v", result, err)
	}
	h.StopSuite()
}

// shownTo returns the name in the certificate that a client sees who asks for a host.
func shownTo(t *testing.T, h *testhost.Host, name string) (seen string) {
	t.Helper()
	c, err := h.SMTP(testhost.Within(t, soon), net.JoinHostPort(h.IP.String(), "25"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Command("STARTTLS", 2); err != nil {
		t.Fatal(err)
	}
	// Who it is is what is asked, and not whether somebody vouches for it.
	client := tls.Client(c.Conn(), &tls.Config{ServerName: name, InsecureSkipVerify: true, VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
		cert, err := x509.ParseCertificate(raw[0])
		if err == nil {
			seen = cert.Subject.CommonName
		}
		return err
	}})
	if err := client.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return seen
}
