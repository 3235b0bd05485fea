package scenario

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"postrider/internal/testhost"
)

// listing is the name of a host's address in a list of the zone.
func listing(ip netip.Addr, zone string) string {
	a := ip.As4()
	return fmt.Sprintf("%d.%d.%d.%d.%s", a[3], a[2], a[1], a[0], zone)
}

// refusal sends a message from a host and returns the reply that refused it;
// nil if none did.
func refusal(t *testing.T, from, to *testhost.Host, sender string) *testhost.Reply {
	t.Helper()
	err := smtp(testhost.Within(t, soon), from, to, sender, []string{"alice@mx1.example"}, letter("alice", "from "+sender))
	if reply := (*testhost.Reply)(nil); errors.As(err, &reply) {
		return reply
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", sender, err, to.Log().Timed(0))
	}
	return nil
}

// expectCode fails unless a message is refused with a code; 0 is no refusal.
func expectCode(t *testing.T, from, to *testhost.Host, sender string, code int) {
	t.Helper()
	switch r := refusal(t, from, to, sender); {
	case r == nil && code != 0:
		t.Errorf("%s: is taken from %s, want %d", sender, from.Name, code)
	case r != nil && r.Code != code:
		t.Errorf("%s: %d %s to %s, want %d", sender, r.Code, r.Text, from.Name, code)
	}
}

// awaitCode sends messages until one is refused with a code, or taken: a
// control file has changed, or time has to go by.
func awaitCode(t *testing.T, from, to *testhost.Host, sender string, code int) {
	t.Helper()
	for begun := time.Now(); ; {
		r := refusal(t, from, to, sender)
		if r == nil && code == 0 || r != nil && r.Code == code {
			return
		}
		if time.Since(begun) > soon {
			t.Fatalf("%s from %s: %v, want %d\n%s", sender, from.Name, r, code, to.Log().Timed(0))
		}
	}
}

// TestListsInTheDNS has clients that lists name, and name servers that fail.
func TestListsInTheDNS(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	h := mailHost(t, net, "mx1.example", "alice")
	plain, bad, trusted := net.Host("plain.example"), net.Host("bad.example"), net.Host("trusted.example")
	zone := net.Zone()
	for _, c := range []*testhost.Host{bad, trusted} {
		zone.Add(listing(c.IP, "bl.example")+". A 127.0.0.2", listing(c.IP, "bl.example")+`. TXT "see https://bl.example/"`)
	}
	zone.Add(listing(trusted.IP, "wl.example") + ". A 127.0.0.5")
	h.Control("dnsbllist", "-bl.example", "+wl.example")
	h.StartSuite()
	expectCode(t, plain, h, "x@else.example", 0)
	expectCode(t, trusted, h, "x@else.example", 0)
	r := refusal(t, bad, h, "x@else.example")
	if r == nil || r.Code != 553 || r.Text != "5.7.1 see https://bl.example/" {
		t.Errorf("the listed client got %v", r)
	}
	h.WaitForLog(0, `^qmail-smtpd: listed session=\d+ ip=`+bad.IP.String()+` zone=bl\.example answer=127\.0\.0\.2 action=553$`)
	h.WaitForLog(0, `^qmail-smtpd: refused session=\d+ ip=`+bad.IP.String()+` helo=bad\.example from=x@else\.example code=553 rule=dnsbllist .* command=RCPT_TO:<alice@mx1\.example>$`)
	// The list dies: nobody is refused, unless that is wanted. The client is one
	// that has not been asked for.
	zone.Fail(listing(h.IP, "bl.example"))
	expectCode(t, h, h, "x@else.example", 0)
	zone.Silence(listing(plain.IP, "wl.example"))
	expectCode(t, plain, h, "x@else.example", 0)
	h.Control("dnsblfailclosed", "1")
	awaitCode(t, h, h, "x@else.example", 451)
	h.Control("dnsbllist")
	awaitCode(t, bad, h, "x@else.example", 0)
	h.StopSuite()
}

func TestSPF(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	h := mailHost(t, net, "mx1.example", "alice")
	good, other := net.Host("good.example"), net.Host("other.example")
	zone := net.Zone()
	zone.Add(`own.example. TXT "v=spf1 a:good.example -all"`, `soft.example. TXT "v=spf1 ~all"`, `lost.example. TXT "v=spf1 include:dead.example -all"`)
	zone.Fail("dead.example")
	zone.Silence("mute.example")
	h.Control("spfbehavior", "1")
	h.StartSuite()
	inbox := h.Maildir("alice")
	for i, c := range []struct {
		from   *testhost.Host
		sender string
		result string
	}{
		{good, "joe@own.example", "pass"}, {other, "joe@own.example", "fail"}, {other, "joe@soft.example", "softfail"},
		{other, "joe@lost.example", "temperror"}, {other, "joe@no.example", "none"},
	} {
		expectCode(t, c.from, h, c.sender, 0)
		m := inbox.Wait(testhost.Within(t, soon), i+1)
		found := false
		for _, m := range m {
			field := m.Header("Received-SPF")
			found = found || strings.HasPrefix(field, c.result+" ") && strings.Contains(field, "client-ip="+c.from.IP.String()+";") &&
				strings.Contains(field, `envelope-from="`+c.sender+`"`)
		}
		if !found {
			t.Errorf("%s from %s: no message with the result %s", c.sender, c.from.Name, c.result)
		}
	}
	h.Control("spfbehavior", "3")
	awaitCode(t, other, h, "joe@own.example", 550)
	expectCode(t, good, h, "joe@own.example", 0)
	expectCode(t, other, h, "joe@soft.example", 0)
	expectCode(t, other, h, "joe@lost.example", 451)
	expectCode(t, other, h, "joe@mute.example", 451)
	h.WaitForLog(0, `^qmail-smtpd: refused .* from=joe@own\.example code=550 rule=spfbehavior text=SPF_fail_`)
	h.StopSuite()
}

func TestClientsHaveNames(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	h := mailHost(t, net, "mx1.example", "alice")
	named, forged, none := net.Host("named.example"), net.Host("forged.example"), net.Host("none.example")
	reverse := func(c *testhost.Host) string { return listing(c.IP, "in-addr.arpa") }
	net.Zone().Remove(reverse(none))
	net.Zone().Remove("forged.example")
	h.Control("checkrdns", "3")
	h.StartSuite()
	expectCode(t, named, h, "x@else.example", 0)
	if m := h.Maildir("alice").Wait(testhost.Within(t, soon), 1)[0]; !strings.Contains(m.Text, "\nReceived: from named.example (") {
		t.Errorf("the name is not in the message:\n%s", m.Text)
	}
	expectCode(t, forged, h, "x@else.example", 550)
	expectCode(t, none, h, "x@else.example", 550)
	h.Control("checkrdns", "2")
	awaitCode(t, forged, h, "x@else.example", 0)
	expectCode(t, none, h, "x@else.example", 550)
	h.StopSuite()
}

// TestGreylist has mail that comes back, from a suite that retries, over a
// restart and with a damaged store.
func TestGreylist(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	h := mailHost(t, net, "mx1.example", "alice")
	far := net.Host("far.example")
	h.Control("greylist", "1")
	h.StartSuite()
	const file = "/var/qmail/policy/greylist"
	expectCode(t, far, h, "joe@far.example", 450)
	awaitCode(t, far, h, "joe@far.example", 0)
	expectCode(t, far, h, "joe@far.example", 0)
	if _, err := h.WaitForFiles(testhost.Within(t, soon), "/var/qmail/policy", func(names []string) bool { return len(names) == 1 && names[0] == "greylist" }); err != nil {
		t.Fatal(err)
	}
	h.StopSuite()
	// What came back is known.
	h.Control("greylist", "3600")
	h.StartSuite()
	expectCode(t, far, h, "joe@far.example", 0)
	expectCode(t, far, h, "jim@far.example", 450)
	h.StopSuite()
	h.WriteFile(file, strings.Repeat("no greylist ", 100), 0o600)
	h.Chown(file, "qmailn")
	first := h.Log().Len()
	h.StartSuite()
	expectCode(t, far, h, "joe@far.example", 450)
	h.WaitForLog(first, `^qmail-policy: warning: /var/qmail/policy/greylist is not used, the greylist is empty: `)
	h.StopSuite()
	if text := h.ReadFile(file); !strings.HasPrefix(text, "PRgrey") {
		t.Errorf("no new file: %.20q", text)
	}
}

// A qmail-policy that does not answer, or is not there, lets nobody in whom it
// might refuse, and refuses nobody for good.
func TestNobodyIsTakenWithoutPolicy(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	h := mailHost(t, net, "mx1.example", "alice")
	far := net.Host("far.example")
	h.Control("greylist", "1")
	h.Control("spfbehavior", "1")
	h.StartSuite()
	expectCode(t, far, h, "joe@far.example", 450)
	stop(t, h, "qmail-policy")
	h.Control("spfbehavior", "0") // it would be waited for
	awaitCode(t, far, h, "joe@far.example", 451)
	first := h.Log().Len()
	h.Kill("qmail-policy", syscall.SIGKILL)
	h.WaitForLog(first, `^qmail-start: qmail-policy started`)
	awaitCode(t, far, h, "joe@far.example", 0)
	h.StopSuite()
}
