package smtpd

import (
	"bufio"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/wire/call"
	"postrider/internal/wire/parent"
	"postrider/internal/wire/sign"
)

// newCertificate makes a key and a certificate, issued by another one or by
// itself.
func newCertificate(t testing.TB, template x509.Certificate, issuer *tls.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(1)
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	template.BasicConstraintsValid = true
	from, with := &template, crypto.Signer(key)
	if issuer != nil {
		from, with = issuer.Leaf, issuer.PrivateKey.(crypto.Signer)
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, from, key.Public(), with)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// serverKey is a key of the server's for a host; the default has no name.
func serverKey(t testing.TB, name string) sign.Key {
	t.Helper()
	subject := name
	if name == "" {
		subject = "mx.example.org"
	}
	c := newCertificate(t, x509.Certificate{Subject: pkix.Name{CommonName: subject}, DNSNames: []string{subject}}, nil)
	return sign.Key{Chain: sign.Chain{Name: name, Certificates: c.Certificate}, Signer: c.PrivateKey.(crypto.Signer)}
}

// giveKeys links the daemon to a process that has these keys, and returns what
// ends that.
func (h *host) giveKeys(keys ...sign.Key) (end func()) {
	h.t.Helper()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		h.t.Fatal(err)
	}
	number, err := unix.FcntlInt(theirs.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		h.t.Fatal(err)
	}
	again := os.NewFile(uintptr(number), "link")
	go func() {
		if err := call.Serve(theirs, 4, func(q []byte) []byte { return sign.Answer(q, keys, nil) }); err != nil {
			h.t.Error(err)
		}
	}()
	h.send(parent.Frame{Kind: parent.Link, Name: parent.Sign, File: ours})
	return func() {
		raw, err := again.SyscallConn()
		if err == nil {
			err = raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RDWR) })
		}
		if err != nil {
			h.t.Error(err)
		}
		again.Close()
	}
}

// tlsHost is a host with TLS on its port.
func tlsHost(t testing.TB, files map[string]string) *host {
	t.Helper()
	h := startHost(t, files)
	h.giveKeys(serverKey(t, ""))
	h.listenAs()
	return h
}

// plainly sends text and reads so many replies, and no octet more.
func plainly(t testing.TB, c net.Conn, text string, replies int) string {
	t.Helper()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	got := ""
	in := bufio.NewReaderSize(oneByOne{c}, 16)
	for replies > 0 {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatalf("behind %q: %v", got+line, err)
		}
		got += line
		if len(line) > 3 && line[3] == ' ' {
			replies--
		}
	}
	return got
}

type oneByOne struct{ io.Reader }

func (r oneByOne) Read(b []byte) (int, error) { return r.Reader.Read(b[:1]) }

func clientConfig() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, ServerName: "mx.example.org"}
}

// startTLS says STARTTLS and shakes hands.
func (h *host) startTLS(config *tls.Config) (*client, *tls.Conn) {
	h.t.Helper()
	raw, err := net.Dial("tcp", h.addr)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { raw.Close() })
	if got := plainly(h.t, raw, "EHLO plain.example.net\r\nSTARTTLS\r\n", 3); !strings.Contains(got, "\r\n220 2.0.0 ready for tls\r\n") {
		h.t.Fatalf("got %q\nlog:\n%s", got, h.log)
	}
	return h.shake(raw, config)
}

// dialTLS connects to a port for TLS.
func (h *host) dialTLS(config *tls.Config) (*client, *tls.Conn) {
	h.t.Helper()
	raw, err := net.Dial("tcp", h.addr)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { raw.Close() })
	return h.shake(raw, config)
}

func (h *host) shake(raw net.Conn, config *tls.Config) (*client, *tls.Conn) {
	h.t.Helper()
	c := tls.Client(raw, config)
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		h.t.Fatal(err)
	}
	if err := c.Handshake(); err != nil {
		h.t.Fatalf("handshake: %v\nlog:\n%s", err, h.log)
	}
	return newClient(h.t, c), c
}

func (h *host) expectLog(text string) {
	h.t.Helper()
	for start := time.Now(); !strings.Contains(h.log.String(), text); time.Sleep(time.Millisecond) {
		if time.Since(start) > patience {
			h.t.Fatalf("the log has no %q:\n%s", text, h.log)
		}
	}
}
