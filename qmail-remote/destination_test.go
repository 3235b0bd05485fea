package qmailremote

import (
	"context"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"

	"postrider/internal/wire/spawn"
)

// What large receivers say of too much mail is known as such, and what only
// looks like it is not.
func TestSpeaksOfRate(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]bool{
		"421 4.7.0 mx.example Error: too many connections from 192.0.2.7":                                    true,
		"421 4.7.28 [192.0.2.7] Our system has detected an unusual rate of unsolicited mail":                 true,
		"421-4.7.28 Gmail has detected\n421 4.7.28 something":                                                true,
		"421 4.7.0 [TSS04] Messages from 192.0.2.7 temporarily deferred due to unexpected volume":            true,
		"421 RP-001 (SN1) Unfortunately, some messages weren't sent. The mail server IP exceeded rate limit": true,
		"451 4.7.500 Server busy. Please try again later from [192.0.2.7]":                                   true,
		"450 4.7.1 Error: too much mail from 192.0.2.7":                                                      true,
		"450 4.7.1 <a@b>: Recipient address rejected: Throttled, slow down":                                  true,
		"421 Too many concurrent SMTP connections; please try again later.":                                  true,
		"421 4.3.2 Connection rate limit exceeded.":                                                          true,
		"452 4.5.3 Too many recipients":                                                                      false,
		"450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents, too fast":   false,
		"452 4.2.2 The email account that you tried to reach is over quota":                                  false,
		"450 4.7.1 Greylisted, too fast, come back later":                                                    false,
		"451 4.7.1 Greylisting in action, please come back in 00:05:00":                                      false,
		"450 4.2.0 <a@b>: Recipient address rejected: Greylisted":                                            false,
		"421 Service not available":                                                                          false,
		"451 4.3.0 Temporary lookup failure":                                                                 false,
		"452 4.3.1 Insufficient system storage":                                                              false,
		"550 5.7.1 rate limit exceeded":                                                                      false,
		"554 too many connections":                                                                           false,
		"250 slow down":                                                                                      false,
		"":                                                                                                   false,
		"451 mailbox limit: too many messages":                                                               false,
	} {
		if got := speaksOfRate(said); got != want {
			t.Errorf("%q: %v", said, got)
		}
	}
}

func TestHostsOf(t *testing.T) {
	t.Parallel()
	a := netip.MustParseAddrPort("192.0.2.1:25")
	if got := joined(hostsOf([]target{{host: "B.test.", addr: a}, {host: "a.test", addr: a}, {host: "b.test", addr: a}})); got != "a.test,b.test" {
		t.Error(got)
	}
	if got := joined(hostsOf([]target{{addr: netip.MustParseAddrPort("[2001:db8::1]:2525"), route: true}})); got != "2001:db8::1:2525" {
		t.Error(got)
	}
	if got := joined(hostsOf([]target{{host: "a,\xffb c", addr: a, route: true}})); got != "a??b?c" {
		t.Error(got)
	}
	var many, other []target
	for _, c := range "abcdefghijklmnopqrst" {
		many = append(many, target{host: strings.Repeat(string(c), 60), addr: a})
	}
	other = append(append(other, many[:19]...), target{host: "x", addr: a})
	long := joined(hostsOf(many))
	if len(long) > 512 || !strings.Contains(long, ",+") || long == joined(hostsOf(other)) {
		t.Errorf("%d bytes: %s", len(long), long)
	}
}

// told delivers a message and returns what qmail-send learns of the destination.
func (h *host) told(probe bool, to ...string) spawn.Destination {
	h.t.Helper()
	o, err := h.client.deliver(context.Background(), "d.example", mail{
		sender: addr(h.t, "s@x.example"), body: message(h.t, simpleMessage), recipients: recipients(h.t, to...), probe: probe,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return spawn.Destination{Hosts: o.hosts, Trouble: o.trouble()}
}

func TestToldOfDestinations(t *testing.T) {
	t.Parallel()
	const mailed = "C MAIL FROM:<s@x.example>\nS 250 ok\nC RCPT TO:<r@d.example>\n"
	for _, c := range []struct {
		name   string
		script script
		want   spawn.Trouble
	}{
		{"accepted", hello + mailed + "S 250 ok\nC DATA\nS 354 go\nD Subject: x||hi\nS 250 queued" + bye, spawn.None},
		{"refused for good", hello + mailed + "S 550 no" + bye, spawn.None},
		{"refused for now", hello + mailed + "S 450 greylisted, too fast" + bye, spawn.None},
		{"too many recipients so far", hello + mailed + "S 450 4.7.1 too much mail from you" + bye, spawn.Throttled},
		{"too many connections", "S 421 too many connections", spawn.Throttled},
		{"closing with the sender", hello + "C MAIL FROM:<s@x.example>\nS 421 4.7.0 rate limit", spawn.Throttled},
		{"the message is too much", hello + mailed + "S 250 ok\nC DATA\nS 354 go\nD Subject: x||hi\nS 451 4.7.1 sending rate" + bye, spawn.Throttled},
		{"not now", "S 421 not now", spawn.Broken},
		{"gone", hello + mailed, spawn.Broken},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, oneMX...)
			h.peer("192.0.2.1", c.script)
			if got := h.told(false, "r@d.example"); got != (spawn.Destination{Hosts: "mx.d.example", Trouble: c.want}) {
				t.Errorf("got %q %q, want %q", got.Hosts, got.Trouble, c.want)
			}
			h.end()
		})
	}
	h := newHost(t, oneMX...)
	if got := h.told(false, "r@d.example"); got != (spawn.Destination{Hosts: "mx.d.example", Trouble: spawn.Unreachable}) {
		t.Errorf("refused: %+v", got)
	}
}

// What this host lacks tells nothing of another one: it is not back for that.
func TestShortageTellsNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t, oneMX...)
	h.fails[at("192.0.2.1")] = os.NewSyscallError("socket", syscall.EMFILE)
	if got := h.told(true, "r@d.example"); got != (spawn.Destination{}) {
		t.Errorf("%+v", got)
	}
}

// A probe asks a host that is known to time out; other mail does not.
func TestProbeAsksWhoIsDown(t *testing.T) {
	t.Parallel()
	h := newHost(t, oneMX...)
	now := newManualClock()
	h.client.down = newDownHosts(now, nil)
	h.fails[at("192.0.2.1")] = os.NewSyscallError("connect", syscall.ETIMEDOUT)
	for range 4 {
		h.told(false, "r@d.example")
		now.add(2 * downGap)
	}
	if got := h.dialed(); got != "192.0.2.1 192.0.2.1" {
		t.Fatalf("dialed %s", got)
	}
	if got := h.told(true, "r@d.example"); got.Trouble != spawn.Unreachable || h.dialed() != "192.0.2.1 192.0.2.1 192.0.2.1" {
		t.Errorf("probed: %+v, dialed %s", got, h.dialed())
	}
	h.peer("192.0.2.1", hello+"C MAIL FROM:<s@x.example>\nS 250 ok\nC RCPT TO:<r@d.example>\nS 550 who"+bye)
	delete(h.fails, at("192.0.2.1"))
	if got := h.told(true, "r@d.example"); got.Trouble != spawn.None || h.client.down.skip(netip.MustParseAddr("192.0.2.1")) {
		t.Errorf("it is up: %+v", got)
	}
	h.end()
}
