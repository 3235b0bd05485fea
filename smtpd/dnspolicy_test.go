package smtpd

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"postrider/internal/control"
	"postrider/internal/wire/policy"
)

const rcptAgain = "C: RCPT TO:<jon@example.com>\nS: 250 *\n"

// What is found out about a client is asked for once a session, and about a
// sender once a transaction.
func TestPolicyIsAskedOnce(t *testing.T) {
	t.Parallel()
	h := startHost(t, map[string]string{"dnsbllist": "=listed.example\n", "checkrdns": "1\n", "spfbehavior": "1\n"})
	c := h.dial()
	c.play(transaction + strings.Repeat(rcptAgain, 3))
	if n := h.policy.asked.Load(); n != 3 {
		t.Errorf("asked %d times, want 3", n)
	}
	c.play("C: RSET\nS: 250 *\nC: MAIL FROM:<jan@example.net>\nS: 250 *\n" + strings.Repeat(rcptAgain, 3) + bye)
	if n := h.policy.asked.Load(); n != 4 {
		t.Errorf("asked %d times, want 4", n)
	}
	line := " zone=listed.example answer=127.0.0.2 action=none"
	if n := strings.Count(h.log.String(), line); n != 1 {
		t.Errorf("%d lines with %q:\n%s", n, line, h.log)
	}
}

// Nothing is asked that nobody wants.
func TestPolicyIsOff(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]map[string]string{
		"nothing":         nil,
		"zeros":           {"dnsbllist": "# none\n", "checkrdns": "0\n", "spfbehavior": "0\n", "greylist": "0\n", "dnsblfailclosed": "1\n"},
		"for who relays":  {"dnsbllist": "-listed.example\n", "spfbehavior": "6\n", "greylist": "1\n", "tcp.smtp": "127.:allow,RELAYCLIENT=\"\"\n"},
		"for the refused": {"dnsbllist": "=listed.example\n", "spfbehavior": "6\n", "greylist": "1\n", "badrcptto": "jim@example.com\n"},
	} {
		h := startHost(t, files)
		c := h.dial()
		c.play(hello + "C: MAIL FROM:<joe@example.net>\nS: 250 *\nC: RCPT TO:<jim@example.com>\n")
		c.reply()
		c.play(bye)
		if n := h.policy.asked.Load(); n != 0 {
			t.Errorf("%s: asked %d times", name, n)
		}
	}
}

// Who has logged in is not looked at.
func TestPolicyIsNotForUsers(t *testing.T) {
	t.Parallel()
	h := startHost(t, map[string]string{"dnsbllist": "-listed.example\n", "authinsecure": "1\n"})
	h.giveUsers(map[string]string{"joe": "secret"})
	h.listen()
	c := h.dial()
	c.play(hello + "C: AUTH PLAIN AGpvZQBzZWNyZXQ=\nS: 235 *\nC: MAIL FROM:<joe@example.net>\nS: 250 *\nC: RCPT TO:<jim@example.com>\nS: 250 *" + bye)
	if n := h.policy.asked.Load(); n != 0 {
		t.Errorf("asked %d times", n)
	}
}

func TestCheckRDNS(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		state  policy.NameState
		level  string
		reply  string
		client string // in the Received line
	}{
		{policy.Confirmed, "1", "250 *", "client.example.net"},
		{policy.Confirmed, "3", "250 *", "client.example.net"},
		{policy.Unconfirmed, "1", "250 *", "unknown"},
		{policy.Unconfirmed, "2", "250 *", "unknown"},
		{policy.Unconfirmed, "3", "550 5.7.25 sorry, the name of your address *", ""},
		{policy.NoName, "1", "250 *", "unknown"},
		{policy.NoName, "2", "550 5.7.25 sorry, your address has no name *", ""},
		{policy.NameUnsure, "1", "250 *", "unknown"},
		{policy.NameUnsure, "2", "451 4.7.25 *", ""},
		{policy.NameUnsure, "3", "451 4.7.25 *", ""},
	} {
		h := startHost(t, map[string]string{"checkrdns": c.level + "\n"})
		h.policy.name(c.state)
		client := h.dial()
		client.play(hello + "C: MAIL FROM:<joe@example.net>\nS: 250 *\nC: RCPT TO:<jim@example.com>\nS: " + c.reply + "\n")
		if c.client != "" {
			client.play("C: DATA\nS: 354 *\nR: x\\r\\n.\\r\\n\nS: 250 *\n")
		}
		client.play(bye)
		for _, m := range h.spool.messages() {
			if !strings.HasPrefix(m.text, "Received: from "+c.client+" (") {
				t.Errorf("%v: %q", c.state, m.text)
			}
		}
		if strings.Contains(h.log.String(), " refused session=") != (c.client == "") || c.client == "" && !strings.Contains(h.log.String(), " rule=checkrdns ") {
			t.Errorf("%v, level %s:\n%s", c.state, c.level, h.log)
		}
	}
}

// Without qmail-policy what would refuse refuses for now, and what would not
// does not.
func TestNoPolicy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		checks checks
		rule   string // that refuses
	}{
		{checks{spf: spfNote}, ""}, {checks{spf: spfUnsure}, "spfbehavior"},
		{checks{rdns: rdnsNote}, ""}, {checks{rdns: rdnsName}, "checkrdns"},
		{checks{grey: 1}, "greylist"},
		{checks{lists: []dnsList{{zone: "a.example", action: actNote}, {zone: "b.example", action: actTrust}}}, ""},
		{checks{lists: []dnsList{{zone: "a.example", action: actRefuse}}}, "dnsbllist"},
		{checks{lists: []dnsList{{zone: "a.example", action: actRefuseIt}}}, "dnsbllist"},
	} {
		s, _ := newTestSession(deafConn{})
		s.policy, s.client = newAsker(), netip.MustParseAddr("192.0.2.1")
		s.settings.checks = c.checks
		s.peer.exemption = newExemption(func(string) (string, bool) { return "", false })
		s.dispatch("MAIL FROM:<joe@example.net>")
		r := s.dispatch("RCPT TO:<jim@example.com>")
		if c.rule == "" && r != replyRcptOK || c.rule != "" && (r.code != 451 || r.rule != c.rule) {
			t.Errorf("%+v: %d %s", c.checks, r.code, r.text)
		}
		if log := s.log.(*recordedLog).String(); !strings.Contains(log, "why=qmail-policy_was_not_wanted_when_") {
			t.Errorf("%+v: log: %s", c.checks, log)
		}
	}
}

// The next client of a proxy is another one.
func TestPolicyOfTheNextClient(t *testing.T) {
	t.Parallel()
	h := startHost(t, map[string]string{"dnsbllist": "=listed.example\n", "xclienthosts": "127.0.0.1\n"})
	c := h.dial()
	c.play(transaction + "C: RSET\nS: 250 *\nC: XCLIENT ADDR=192.0.2.7\nS: 220 *\nC: EHLO x\nS: 250-*\n" +
		"C: MAIL FROM:<joe@example.net>\nS: 250 *\nC: RCPT TO:<jim@example.com>\nS: 250 *" + bye)
	if n := h.policy.asked.Load(); n != 2 {
		t.Errorf("asked %d times, want 2", n)
	}
	if !strings.Contains(h.log.String(), "listed session=1 ip=192.0.2.7 zone=") {
		t.Errorf("log:\n%s", h.log)
	}
}

// A long sender and HELO fit, and what is lent comes back.
func TestLongReceivedSPF(t *testing.T) {
	t.Parallel()
	h := startHost(t, map[string]string{"spfbehavior": "1\n"})
	helo, local := strings.Repeat("h", maxPath), strings.Repeat(`\"`, maxPath-4)
	h.dial().play("S: 220 *\nC: EHLO " + helo + "\nS: 250-*\nC: MAIL FROM:<\"" + local + "\"@a.b>\nS: 250 *\n" +
		"C: RCPT TO:<jim@example.com>\nS: 250 *\nC: DATA\nS: 354 *\nR: x\\r\\n.\\r\\n\nS: 250 *" + bye)
	h.stop()
	m := h.spool.messages()
	if len(m) != 1 || !strings.Contains(m[0].text, "\";\n  helo="+helo+"; receiver=") || !strings.HasSuffix(m[0].text, "identity=mailfrom;\nx\n") {
		t.Errorf("queued: %.3000q", m)
	}
	if used := h.d.lent.used.Load(); used != 0 {
		t.Errorf("%d octets are still lent", used)
	}
}

func TestParseList(t *testing.T) {
	t.Parallel()
	addr := netip.MustParseAddr
	for line, want := range map[string]dnsList{
		"bl.example":                          {zone: "bl.example", action: actRefuse},
		"-BL.Example.":                        {zone: "bl.example", action: actRefuseIt},
		"+wl.example":                         {zone: "wl.example", action: actTrust},
		"=bl.example:note":                    {zone: "bl.example", action: actNote, text: "note"},
		"bl.example:see http://x/?ip=%IP%":    {zone: "bl.example", action: actRefuse, text: "see http://x/?ip=%IP%"},
		"bl.example:-no":                      {zone: "bl.example", action: actRefuseIt, text: "no"},
		"=bl.example:-no":                     {zone: "bl.example", action: actNote, text: "no"},
		"-bl.example=127.0.0.2":               {zone: "bl.example", action: actRefuseIt, codes: []codeRange{{addr("127.0.0.2"), addr("127.0.0.2")}}},
		"bl.example=127.0.0.2-11,127.0.1.4:x": {zone: "bl.example", action: actRefuse, codes: []codeRange{{addr("127.0.0.2"), addr("127.0.0.11")}, {addr("127.0.1.4"), addr("127.0.1.4")}}, text: "x"},
	} {
		got, err := parseList(line)
		if err != nil || got.zone != want.zone || got.action != want.action || got.text != want.text {
			t.Errorf("%q: %+v, %v", line, got, err)
			continue
		}
		for i, r := range want.codes {
			if len(got.codes) != len(want.codes) || got.codes[i] != r {
				t.Errorf("%q: %v", line, got.codes)
			}
		}
	}
	for _, line := range []string{"+", "localhost", "a..example", "a b.example", ".", "-:text", "bl.example=", "bl.example=127.0.0", "bl.example=::1",
		"bl.example=127.0.0.9-2", "bl.example=127.0.0.2-256", "bl.example=127.0.0.2-", "b\xfccher.example", strings.Repeat("a", 64) + ".example", strings.Repeat("a.", 100) + "example", "bl.example\r"} {
		if got, err := parseList(line); err == nil {
			t.Errorf("%q is taken: %+v", line, got)
		}
	}
	home := t.TempDir()
	many := strings.Repeat("bl.example\n", policy.MaxZones+1)
	if err := os.WriteFile(home+"/dnsbllist", []byte(many), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := readLists(control.Dir(home)); err == nil {
		t.Error("any number of lists is taken")
	}
}

// BenchmarkScreenOff is what the checks cost who has none.
func BenchmarkScreenOff(b *testing.B) {
	s, _ := newTestSession(deafConn{})
	s.policy, s.client = newAsker(), netip.MustParseAddr("192.0.2.1")
	b.ReportAllocs()
	for b.Loop() {
		if r := s.screen(); r.code != 0 {
			b.Fatal(r.text)
		}
	}
}
