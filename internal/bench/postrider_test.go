package bench

import (
	"testing"

	"postrider/internal/testhost"
)

// newPostrider installs the suite.
func newPostrider(t *testing.T, net *testhost.Network) *peer {
	t.Helper()
	h := net.Host("postrider.test")
	h.Install()
	h.AddUsers("u0")
	h.Control("me", "postrider.test")
	h.Control("locals", "local.test")
	h.Control("rcpthosts", "local.test", "remote.test")
	h.Control("smtproutes", "remote.test:127.0.0.1:"+sinkPort)
	h.Control("concurrencyremote", "100")
	p := &peer{
		name: "postrider", host: h, mailbox: "/home/u0/Maildir", queue: []string{"/var/qmail/queue/new"},
		sendmail: []string{"/usr/sbin/sendmail", "-t", "-i"},
	}
	p.start = func() { h.StartSuite(); p.awaitGreeting(t, "127.0.0.1:25") }
	p.stop = h.StopSuite
	return p
}
