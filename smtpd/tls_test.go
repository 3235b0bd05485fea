package smtpd

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"io"
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestStartTLS(t *testing.T) {
	t.Parallel()
	h := tlsHost(t, nil)
	c, _ := h.startTLS(clientConfig())
	// What was said outside does not count, and STARTTLS is not offered again.
	c.play("C: RCPT TO:<jim@example.com>\nS: 503 *\nC: EHLO secure.example.net\n")
	if got := c.reply(); strings.Contains(got, "STARTTLS") || !strings.Contains(got, "PIPELINING") {
		t.Errorf("EHLO inside TLS: %s", got)
	}
	c.play("C: STARTTLS\nS: 503 5.5.1 this is TLS already (#5.5.1)\n" +
		"C: MAIL FROM:<joe@example.net>\nS: 250 *\nC: RCPT TO:<jim@example.com>\nS: 250 *\nC: DATA\nS: 354 *\n" +
		"R: Subject: x\\r\\n\\r\\ny\\r\\n.\\r\\n\nS: 250 *" + bye)
	got := h.spool.messages()
	if len(got) != 1 {
		t.Fatalf("%d messages", len(got))
	}
	if want := " (HELO secure.example.net) (127.0.0.1)\n  by mx.example.org with ESMTPS (TLS1.3 TLS_AES_128_GCM_SHA256 encrypted); "; !strings.Contains(got[0].text, want) {
		t.Errorf("got %q, want %q in it", got[0].text, want)
	}
	h.stop()
	for _, want := range []string{"accepted session=", " tls=1.3 cipher=TLS_AES_128_GCM_SHA256 id=", " refused=2 tls=1.3 cipher=TLS_AES_128_GCM_SHA256 ms="} {
		if !strings.Contains(h.log.String(), want) {
			t.Errorf("log has no %q:\n%s", want, h.log)
		}
	}
}

func TestStartTLSReplies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, script string }{
		{"with a parameter", hello + "C: STARTTLS now\nS: 501 5.5.4 no parameters allowed (#5.5.4)" + bye},
		{"in a transaction", transaction + "C: STARTTLS\nS: 503 5.5.1 not during a mail transaction: RSET drops it (#5.5.1)" + bye},
		{"in chunks", transaction + "R: BDAT 1\\r\\nx\nS: 250 *\nC: STARTTLS\nS: 503 *" + bye},
		{"with more behind it", hello + "R: STARTTLS\\r\\nEHLO evil.example.net\\r\\n\nS: 554 5.5.0 you sent more before I answered (#5.5.0)\nS: <end>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := tlsHost(t, nil)
			h.dial().play(c.script)
		})
	}
	t.Run("keys that are not there", func(t *testing.T) {
		t.Parallel()
		h := startHost(t, nil)
		h.giveKeys()
		h.listenAs()
		h.dial().play(hello + "C: STARTTLS\nS: 454 4.3.0 TLS not available now (#4.3.0)" + bye)
	})
	t.Run("DISABLETLS", func(t *testing.T) {
		t.Parallel()
		h := tlsHost(t, map[string]string{"tcp.smtp": ":allow,DISABLETLS=\"1\"\n"})
		h.dial().play(hello + "C: STARTTLS\nS: 502 5.5.1 unimplemented (#5.5.1)" + bye)
	})
}

// What comes in plain text behind the reply to STARTTLS never is a command.
func TestPlainTextDoesNotSurvive(t *testing.T) {
	t.Parallel()
	h := tlsHost(t, nil)
	raw, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	plainly(t, raw, "EHLO x\r\nSTARTTLS\r\n", 3)
	if _, err := io.WriteString(raw, "MAIL FROM:<joe@example.net>\r\nRCPT TO:<jim@example.com>\r\n"); err != nil {
		t.Fatal(err)
	}
	h.expectLog("tls failed session=1 ip=127.0.0.1 why=")
	got, _ := io.ReadAll(raw) // an alert, or nothing
	if strings.Contains(string(got), "250") {
		t.Errorf("got %q", got)
	}
	h.stop()
	if strings.Contains(h.log.String(), "joe@") {
		t.Errorf("log:\n%s", h.log)
	}
}

func TestImplicitTLS(t *testing.T) {
	t.Parallel()
	h := tlsHost(t, map[string]string{"tcp.smtp": "127.0.0.2:deny\n:allow\n"})
	h.listenAs("tls")
	c, _ := h.dialTLS(clientConfig())
	c.play("S: 220 mx.example.org ESMTP\nC: EHLO client.example.net\n")
	if got := c.reply(); strings.Contains(got, "STARTTLS") {
		t.Errorf("EHLO: %s", got)
	}
	c.play("C: MAIL FROM:<joe@example.net>\nS: 250 *\nC: RCPT TO:<jim@example.com>\nS: 250 *\nC: DATA\nS: 354 *\n")
	c.send("\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 1<<14) + ".\r\n")
	c.play("S: 250 *" + bye)
	h.expectLog("connect session=1 ip=127.0.0.1 ")
	h.expectLog(" tls=1.3 cipher=")
	if n := len(h.spool.messages()); n != 1 {
		t.Errorf("%d messages", n)
	}
}

func TestCertificateByName(t *testing.T) {
	t.Parallel()
	h := startHost(t, nil)
	h.giveKeys(serverKey(t, ""), serverKey(t, "mail.example.com"))
	h.listenAs("tls")
	for _, c := range []struct{ ask, certificate, greeting string }{
		{"", "mx.example.org", "mx.example.org"},
		{"mx.example.org", "mx.example.org", "mx.example.org"},
		{"unknown.example", "mx.example.org", "mx.example.org"},
		{"mail.example.com", "mail.example.com", "mail.example.com"},
		{"MAIL.example.COM", "mail.example.com", "mail.example.com"},
	} {
		client, conn := h.dialTLS(&tls.Config{InsecureSkipVerify: true, ServerName: c.ask})
		if got := conn.ConnectionState().PeerCertificates[0].Subject.CommonName; got != c.certificate {
			t.Errorf("%q: the certificate of %s", c.ask, got)
		}
		client.play("S: 220 " + c.greeting + " ESMTP\nC: QUIT\nS: 221 *\nS: <end>")
	}
}

// New keys count for the next handshake; sessions go on.
func TestNewKeys(t *testing.T) {
	t.Parallel()
	h := startHost(t, nil)
	h.giveKeys(serverKey(t, ""))
	h.listenAs("tls")
	first, a := h.dialTLS(clientConfig())
	first.play("S: 220 *")
	second := serverKey(t, "")
	end := h.giveKeys(second)
	h.listenAs("tls") // the frame before it was taken
	_, b := h.dialTLS(clientConfig())
	old, now := a.ConnectionState().PeerCertificates[0], b.ConnectionState().PeerCertificates[0]
	if old.Equal(now) || string(now.Raw) != string(second.Certificates[0]) {
		t.Error("the old certificate is shown")
	}
	first.play("C: NOOP\nS: 250 *" + bye)
	// Without qmail-tlskey there is no handshake, and plain mail as ever.
	end()
	raw, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if err := tls.Client(raw, clientConfig()).Handshake(); err == nil {
		t.Error("a handshake without the key")
	}
	h.expectLog("tls failed session=3 ip=127.0.0.1 why=tls:_failed_to_sign_handshake:_qmail-tlskey:")
	h.listenAs()
	h.dial().play(transaction + "C: DATA\nS: 354 *\nR: x\\r\\n.\\r\\n\nS: 250 *" + bye)
}

func TestOldTLS(t *testing.T) {
	t.Parallel()
	h := startHost(t, nil)
	h.giveKeys(serverKey(t, ""))
	for _, c := range []struct {
		words []string
		max   uint16
		want  string
	}{
		{[]string{"tls"}, tls.VersionTLS11, ""},
		{[]string{"tls"}, tls.VersionTLS12, "1.2"},
		{[]string{"tls", "oldtls"}, tls.VersionTLS10, "1.0"},
		{[]string{"tls", "oldtls"}, tls.VersionTLS13, "1.3"},
	} {
		h.listenAs(c.words...)
		raw, err := net.Dial("tcp", h.addr)
		if err != nil {
			t.Fatal(err)
		}
		config := clientConfig()
		config.MinVersion, config.MaxVersion = tls.VersionTLS10, c.max
		conn := tls.Client(raw, config)
		err = conn.Handshake()
		if (err == nil) != (c.want != "") {
			t.Errorf("%v, up to %x: %v", c.words, c.max, err)
		}
		if err == nil {
			h.expectLog(" tls=" + c.want + " ")
		}
		raw.Close()
	}
}

// Handshakes that do not come to an end cost their time and no more.
func TestHandshakesEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, octets, why string }{
		{"nothing", "", "i/o timeout"},
		{"a part", "\x16\x03\x01\x02\x00\x01", "i/o timeout"},
		{"SMTP", "EHLO x\r\n", "first record does not look like a TLS handshake"},
		{"too much", "\x16\x03\x01\x40\x00\x01\x00\xff\x00" + strings.Repeat("x", 16<<10-4) + "\x16\x03\x01\x40\x00" + strings.Repeat("x", 16<<10), "too many octets"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := tlsHost(t, map[string]string{"timeoutsmtpdsession": "1\n"})
			h.listenAs("tls")
			client := h.dial()
			client.send(c.octets)
			h.expectLog("tls failed session=1 ip=127.0.0.1 why=")
			h.expectLog("end session=1 ip=127.0.0.1 messages=0 refused=0")
			if text := strings.ReplaceAll(h.log.String(), "_", " "); !strings.Contains(text, c.why) {
				t.Errorf("log has no %q:\n%s", c.why, text)
			}
		})
	}
}

// R35 holds inside TLS: text behind DATA that comes too early is seen.
func TestEarlyTextInTLS(t *testing.T) {
	t.Parallel()
	h := tlsHost(t, nil)
	h.listenAs("tls")
	for _, records := range [][]string{{"DATA\r\nx\r\n.\r\n"}, {"DATA\r\n", "x\r\n.\r\n"}} {
		c, _ := h.dialTLS(clientConfig())
		c.play(transaction)
		raw := c.conn.(*tls.Conn).NetConn().(*net.TCPConn)
		// Both records in one packet.
		if err := corked(raw, func() {
			for _, r := range records {
				c.send(r)
			}
		}); err != nil {
			t.Fatal(err)
		}
		c.play("S: 554 5.5.0 you sent more before I answered (#5.5.0)\nS: <end>")
	}
	if n := len(h.spool.messages()); n != 0 {
		t.Errorf("%d messages queued", n)
	}
}

func corked(c *net.TCPConn, send func()) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	set := func(on int) (err error) {
		if controlErr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, on) }); controlErr != nil {
			return controlErr
		}
		return err
	}
	if err := set(1); err != nil {
		return err
	}
	send()
	return set(0)
}

// A read that came to its deadline does not break what is said next.
func TestWaitingInTLS(t *testing.T) {
	t.Parallel()
	h := tlsHost(t, map[string]string{"greetdelay": "1\n", "timeoutsmtpd": "1\n"})
	h.listenAs("tls")
	c, _ := h.dialTLS(clientConfig())
	c.play("S: 220 *\nC: NOOP\nS: 250 *\nS: 451 4.4.2 timeout (#4.4.2)\nS: <end>")
	early, _ := h.dialTLS(clientConfig())
	early.play("C: EHLO x\nS: 554 5.5.0 you talked before I greeted you (#5.5.0)\nS: <end>")
}

func TestClientCertificates(t *testing.T) {
	t.Parallel()
	ca := newCertificate(t, x509.Certificate{Subject: pkix.Name{CommonName: "CA"}, IsCA: true, KeyUsage: x509.KeyUsageCertSign}, nil)
	client := x509.Certificate{EmailAddresses: []string{"Joe@example.net"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	known, vouched, alone := newCertificate(t, x509.Certificate{}, nil), newCertificate(t, client, &ca), newCertificate(t, client, nil)
	stranger := client
	stranger.EmailAddresses = []string{"eve@example.net"}
	other := newCertificate(t, stranger, &ca)
	sum := sha256.Sum256(known.Certificate[0])
	h := tlsHost(t, map[string]string{
		"tlsclients":   "joe@example.net\n" + strings.ToUpper(hex.EncodeToString(sum[:])) + "\n",
		"clientca.pem": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Certificate[0]})),
	})
	for _, c := range []struct {
		name  string
		shown []tls.Certificate
		relay bool
	}{
		{"none", nil, false},
		{"by fingerprint", []tls.Certificate{known}, true},
		{"by address", []tls.Certificate{vouched}, true},
		{"another address", []tls.Certificate{other}, false},
		{"nobody vouches", []tls.Certificate{alone}, false},
	} {
		config := clientConfig()
		if len(c.shown) > 0 {
			// Also if it is not of an issuer that the server names.
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c.shown[0], nil }
		}
		s, _ := h.startTLS(config)
		want := "553 *"
		if c.relay {
			want = "250 *"
		}
		t.Log(c.name)
		s.play("C: EHLO x\nS: 250-*\nC: MAIL FROM:<joe@example.net>\nS: 250 *\nC: RCPT TO:<jim@elsewhere.example>\nS: " + want +
			"\nC: RCPT TO:<jim@example.com>\nS: 250 *" + bye)
	}
}

// Where nobody may relay by it, no certificate is asked for.
func TestNoCertificateIsAskedFor(t *testing.T) {
	t.Parallel()
	h := tlsHost(t, nil)
	config := clientConfig()
	asked := false
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		asked = true
		return &tls.Certificate{}, nil
	}
	s, _ := h.startTLS(config)
	s.play("C: QUIT\nS: 221 *\nS: <end>")
	if asked {
		t.Error("a certificate was asked for")
	}
}

func TestShutdownInTLS(t *testing.T) {
	t.Parallel()
	h := tlsHost(t, nil)
	idle, _ := h.startTLS(clientConfig())
	idle.play("C: EHLO x\nS: 250-*")
	h.listenAs("tls")
	silent := h.dial() // in its handshake
	busy, _ := h.dialTLS(clientConfig())
	busy.play(transaction + "C: DATA\nS: 354 *")
	if err := h.channel.Close(); err != nil {
		t.Fatal(err)
	}
	idle.play("S: 421 4.3.2 *\nS: <end>")
	busy.play("R: x\\r\\n.\\r\\n\nS: 250 *\nS: 421 4.3.2 *\nS: <end>")
	silent.conn.Close()
	h.stop()
}

func TestSettingsOfTLSClients(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"tlsclients": "neither\n", "proxyhosts": "192.0.2.0/33\n", "xclienthosts": "localhost\n"} {
		if _, err := loadSettings(controlDir(t, map[string]string{name: text}), true); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := loadSettings(controlDir(t, map[string]string{"tlsclients": "a@b.c\n", "clientca.pem": "x\n"}), true); err == nil {
		t.Error("clientca.pem without a certificate is taken")
	}
}
