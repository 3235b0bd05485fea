package scenario

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"postrider/internal/testhost"
)

// tlsTo shakes hands with a port for TLS and reads the greeting.
func tlsTo(t *testing.T, h *testhost.Host, port, name string) (*tls.Conn, error) {
	t.Helper()
	ctx := testhost.Within(t, soon)
	raw, err := h.Dial(ctx, "tcp", h.IP.String()+":"+port)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { raw.Close() })
	c := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, ServerName: name})
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	greeting := make([]byte, 200)
	_, err = c.Read(greeting)
	return c, err
}

// tlsHost is a host with TLS at port 465 and STARTTLS at port 25.
func tlsHost(t *testing.T) *testhost.Host {
	t.Helper()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice")
	h.Control("smtplisten", ":25", ":465 tls")
	return h
}

// TestClientsDeliverByTLS has mail delivered by programs that people use, at
// both kinds of ports, verifying the certificate where they can.
func TestClientsDeliverByTLS(t *testing.T) {
	t.Parallel()
	h := tlsHost(t)
	h.WriteFile("/tmp/ca.pem", h.GiveKey(), 0o644)
	h.StartSuite()
	clients := []struct {
		name  string
		argv  []string
		stdin string
	}{
		{"swaks", []string{"swaks", "--tls", "--server", h.Name, "--to", "alice@mx1.example", "--from", "x@else.example", "--h-Subject", "swaks"}, ""},
		{"swaks-465", []string{"swaks", "--tlsc", "--port", "465", "--server", h.Name, "--to", "alice@mx1.example", "--from", "x@else.example", "--h-Subject", "swaks-465"}, ""},
		{"msmtp", []string{"msmtp", "--host=" + h.Name, "--tls=on", "--tls-starttls=on", "--tls-trust-file=/tmp/ca.pem", "--from=x@else.example", "alice@mx1.example"}, letter("alice", "msmtp")},
		{"msmtp-465", []string{"msmtp", "--host=" + h.Name, "--port=465", "--tls=on", "--tls-starttls=off", "--tls-trust-file=/tmp/ca.pem", "--from=x@else.example", "alice@mx1.example"}, letter("alice", "msmtp-465")},
		{"curl", []string{"curl", "-sS", "--crlf", "--ssl-reqd", "--cacert", "/tmp/ca.pem", "smtp://" + h.Name, "--mail-from", "x@else.example", "--mail-rcpt", "alice@mx1.example", "-T", "-"}, letter("alice", "curl")},
		{"curl-465", []string{"curl", "-sS", "--crlf", "--cacert", "/tmp/ca.pem", "smtps://" + h.Name, "--mail-from", "x@else.example", "--mail-rcpt", "alice@mx1.example", "-T", "-"}, letter("alice", "curl-465")},
		{"python", []string{"/usr/bin/python3", "-c", python, "25"}, letter("alice", "python")},
		{"python-465", []string{"/usr/bin/python3", "-c", python, "465"}, letter("alice", "python-465")},
		{"openssl", []string{"sh", "-c", "openssl s_client -quiet -crlf -starttls smtp -verify_return_error -CAfile /tmp/ca.pem -connect mx1.example:25 2>/tmp/openssl.err"}, openssl("openssl")},
		{"openssl-tls12", []string{"sh", "-c", "openssl s_client -quiet -crlf -tls1_2 -verify_return_error -CAfile /tmp/ca.pem -connect mx1.example:465 2>/tmp/openssl.err"}, openssl("openssl-tls12")},
	}
	for _, c := range clients {
		result, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: c.argv, Stdin: c.stdin})
		if err != nil || result.Code != 0 {
			t.Errorf("%s: %v, %v\nlog:\n%s", c.name, err, result, h.Log().Timed(0))
		}
	}
	if t.Failed() {
		return
	}
	got := make(map[string]string)
	for _, m := range h.Maildir("alice").Wait(testhost.Within(t, soon), len(clients)) {
		got[m.Header("Subject")] = m.Text
	}
	for _, c := range clients {
		if !strings.Contains(got[c.name], "by mx1.example with ESMTPS (TLS1.") {
			t.Errorf("%s: %q", c.name, got[c.name])
		}
	}
	h.StopSuite()
}

const python = `import smtplib, ssl, sys
trust = ssl.create_default_context(cafile="/tmp/ca.pem")
if sys.argv[1] == "465":
    s = smtplib.SMTP_SSL("mx1.example", 465, context=trust)
else:
    s = smtplib.SMTP("mx1.example", 25)
    s.starttls(context=trust)
s.sendmail("x@else.example", ["alice@mx1.example"], sys.stdin.read())
s.quit()
`

// openssl is a session for a client that waits for nothing: what it must not
// say before it was asked is left out.
func openssl(subject string) string {
	return "EHLO client.example\nMAIL FROM:<x@else.example>\nRCPT TO:<alice@mx1.example>\nBDAT " +
		fmt.Sprint(len("Subject: \r\n\r\nx\r\n")+len(subject)) + " LAST\nSubject: " + subject + "\n\nx\nQUIT\n"
}

// TestKeysAreRenewed replaces the key while the suite runs, by ones that are of
// use and ones that are not, and kills qmail-tlskey.
func TestKeysAreRenewed(t *testing.T) {
	t.Parallel()
	h := tlsHost(t)
	h.GiveKey()
	h.StartSuite()
	serial := func() string {
		t.Helper()
		c, err := tlsTo(t, h, "465", "mx1.example")
		if err != nil {
			t.Fatalf("%v\nlog:\n%s", err, h.Log().Timed(0))
		}
		return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	hup := func(answer string) {
		t.Helper()
		first := h.Log().Len()
		h.Kill("qmail-start", syscall.SIGHUP)
		h.WaitForLog(first, answer)
	}
	const loaded = `^qmail-tlskey: control/servercert.pem: a key of RSA, valid until `
	before := serial()
	session, err := tlsTo(t, h, "465", "mx1.example")
	if err != nil {
		t.Fatal(err)
	}
	h.GiveKey()
	if got := serial(); got != before {
		t.Error("a key is new without HUP")
	}
	hup(loaded)
	after := waitForOther(t, before, serial)
	// An older session goes on.
	if _, err := io.WriteString(session, "NOOP\r\n"); err != nil {
		t.Error(err)
	}
	if n, err := session.Read(make([]byte, 100)); n == 0 {
		t.Error(err)
	}
	h.Must("chmod", "640", testhost.CertFile)
	hup(`^qmail-start: warning: .*servercert.pem belongs to uid 0 and has the mode 0640: .*; the keys before it stay$`)
	h.WriteFile(testhost.CertFile, "no key\n", 0o600)
	h.Must("chmod", "600", testhost.CertFile)
	hup(`^qmail-tlskey: alert: control/servercert.pem: it has no private key; the keys before it stay$`)
	if got := serial(); got != after {
		t.Error("the key is another one")
	}
	h.GiveKey()
	hup(loaded)
	last := waitForOther(t, after, serial)
	first := h.Log().Len()
	h.Kill("qmail-tlskey", syscall.SIGKILL)
	h.WaitForLog(first, loaded)
	ctx := testhost.Within(t, soon)
	for {
		c, err := tlsTo(t, h, "465", "mx1.example")
		if err == nil {
			if got := c.ConnectionState().PeerCertificates[0].SerialNumber.String(); got != last {
				t.Error("another key after a new start")
			}
			break
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
		pause(ctx)
	}
	h.StopSuite()
}

// waitForOther waits until a new certificate is shown: qmail-smtpd asks for it
// after the log line of qmail-tlskey.
func waitForOther(t *testing.T, before string, serial func() string) string {
	t.Helper()
	ctx := testhost.Within(t, soon)
	for {
		if got := serial(); got != before {
			return got
		}
		if ctx.Err() != nil {
			t.Fatal("the old certificate is shown")
		}
		pause(ctx)
	}
}

// TestNoTLSWithoutAKey: no process, no offer; a port for TLS then is a mistake.
func TestNoTLSWithoutAKey(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice")
	h.StartSuite()
	if found := h.Find("qmail-tlskey"); len(found) > 0 {
		t.Error("qmail-tlskey runs")
	}
	c, err := h.SMTP(testhost.Within(t, soon), h.IP.String()+":25")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Command("STARTTLS", 2); err == nil {
		t.Error("STARTTLS is taken")
	}
	c.Close()
	h.StopSuite()
	h.Control("smtplisten", ":465 tls")
	result, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: []string{"/var/qmail/bin/qmail-start"}})
	if err != nil || result.Code != 111 || !strings.Contains(result.Stderr, "needs control/servercert.pem") {
		t.Errorf("%v, %v", err, result)
	}
}

// startPrivately starts a suite all of whose files are alice's, as alice, and waits
// until it listens on a port.
func startPrivately(t *testing.T, h *testhost.Host, port int) *testhost.Process {
	t.Helper()
	h.Must("chown", "-R", "alice:alice", "/var/qmail")
	log, err := os.Create(h.Path("/tmp/log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p, err := h.Start(testhost.Command{Argv: []string{"/var/qmail/bin/qmail-start", "./Maildir/"}, User: "alice", Files: []*os.File{log, log, log}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, ready := testhost.Within(t, soon), fmt.Sprintf("listening on 0.0.0.0:%d\n", port)
	for ; !strings.Contains(h.ReadFile("/tmp/log"), ready); pause(ctx) {
		if ctx.Err() != nil {
			t.Fatalf("log:\n%s", h.ReadFile("/tmp/log"))
		}
	}
	return p
}

// TestTLSWithoutSeparation: in a private installation all is alice's.
func TestTLSWithoutSeparation(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice")
	h.Control("smtplisten", ":2525", ":4650 tls")
	h.GiveKey()
	p := startPrivately(t, h, 4650)
	ctx := testhost.Within(t, soon)
	if err := deliverByTLS(ctx, h, h.IP.String()+":4650"); err != nil {
		t.Fatalf("%v\nlog:\n%s", err, h.ReadFile("/tmp/log"))
	}
	if got := h.Maildir("alice").Wait(ctx, 1)[0].Text; !strings.Contains(got, "with ESMTPS (TLS1.3 ") {
		t.Errorf("got %s", got)
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if _, err := p.Wait(ctx); err != nil {
		t.Error(err)
	}
}

// deliverByTLS sends alice a message at a port for TLS.
func deliverByTLS(ctx context.Context, h *testhost.Host, address string) error {
	raw, err := h.Dial(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer raw.Close()
	return say(tls.Client(raw, &tls.Config{InsecureSkipVerify: true}),
		"", "EHLO client.example\r\n", "MAIL FROM:<x@else.example>\r\n", "RCPT TO:<alice@mx1.example>\r\n", "DATA\r\n", "Subject: tls\r\n\r\nx\r\n.\r\n", "QUIT\r\n")
}

// say sends one line after the other, each after a good reply to that before.
func say(c net.Conn, lines ...string) error {
	reply := make([]byte, 1000)
	for _, line := range lines {
		if _, err := io.WriteString(c, line); err != nil {
			return err
		}
		n, err := c.Read(reply)
		if err != nil {
			return err
		}
		if reply[0] != '2' && reply[0] != '3' {
			return fmt.Errorf("%q: %s", line, reply[:n])
		}
	}
	return nil
}
