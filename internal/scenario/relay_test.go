package scenario

import (
	"encoding/base64"
	"net/netip"
	"strings"
	"testing"

	"postrider/internal/testhost"
)

// TestMailGoesThroughARelay has the suite log in to another one, which passes
// the mail on, from the second address of its host: all held to what the table
// of privileges says.
func TestMailGoesThroughARelay(t *testing.T) {
	t.Parallel()
	network := testhost.NewNetwork(t)
	h := mailHost(t, network, "mx1.example", "alice")
	relay := mailHost(t, network, "mx2.example")
	far := mailHost(t, network, "mx3.example", "carol")
	relay.Control("authinsecure", "1")
	relay.GivePassword("plain", "joe", "secret")
	relay.StartSuite()
	far.StartSuite()

	second := another(h.IP)
	h.Must("ip", "address", "add", second.String()+"/32", "dev", "eth0")
	h.Control("smtproutes", ":mx2.example")
	h.Control("remoteauthinsecure", "1") // a route of this network is no loopback
	h.Control("remoteauth", "mx2.example|joe|secret")
	h.Chown("/var/qmail/control/remoteauth", "qmailr")
	h.Must("chmod", "600", "/var/qmail/control/remoteauth")
	h.Control("outgoingip", second.String()+" from=mx1.example helo=out.mx1.example")
	h.StartSuite()
	sendmail(h, "alice", []string{"carol@mx3.example"}, letter("carol@mx3.example", "relayed"))
	m := far.Maildir("carol").Wait(testhost.Within(t, soon), 1)[0]
	if !strings.Contains(m.Text, "(HELO out.mx1.example) (joe@"+second.String()+")") {
		t.Errorf("got %s", m.Text)
	}
	waitEmpty(t, h)

	// Nobody but qmailr can read the password; without it nothing goes out, and
	// nothing of it is told.
	first := h.Log().Len()
	h.Must("chmod", "644", "/var/qmail/control/remoteauth")
	sendmail(h, "alice", []string{"carol@mx3.example"}, letter("carol@mx3.example", "held"))
	h.WaitForLog(first, `^delivery \d+: deferral: Unable_to_read_control_files\._\(#4\.3\.0\)/$`)
	h.WaitForLog(first, `^qmail-remote: warning: message \d+: /var/qmail/control/remoteauth holds secrets, and others than its owner can read it$`)
	for _, secret := range []string{"secret|", "|secret", base64.StdEncoding.EncodeToString([]byte("\x00joe\x00secret"))} {
		if n := count(h, 0, secret); n > 0 {
			t.Errorf("%q is in the log", secret)
		}
	}
	if said := h.Must("/var/qmail/bin/qmail-remote", "--explain", "carol@mx3.example"); !strings.Contains(said, "Unable to read control files") {
		t.Errorf("explained: %s", said)
	}
	h.Must("chmod", "600", "/var/qmail/control/remoteauth")
	said := h.Must("/var/qmail/bin/qmail-remote", "--explain", "carol@mx3.example", "alice@mx1.example")
	if !strings.Contains(said, "route: control/smtproutes: mx2.example port 25, logging in as \"joe\"\n") ||
		!strings.Contains(said, "from "+second.String()+" as out.mx1.example\n") || !strings.HasSuffix(said, "result: mail would be sent now\n") {
		t.Errorf("explained: %s", said)
	}
	h.StopSuite()
	relay.StopSuite()
	far.StopSuite()
}

// another returns an address that no host of a network has.
func another(ip netip.Addr) netip.Addr {
	b := ip.As4()
	b[3] += 100
	return netip.AddrFrom4(b)
}
