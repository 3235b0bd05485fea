package scenario

import (
	"regexp"
	"strings"
	"testing"

	"postrider/internal/testhost"
)

// giveDKIM makes keys of both kinds by qmail-dkimkey, and publishes what it says.
func giveDKIM(t *testing.T, net *testhost.Network, h *testhost.Host, domain string) {
	t.Helper()
	var lines []string
	for selector, algorithm := range map[string]string{"s1": "rsa", "e1": "ed25519"} {
		said := h.Must("/var/qmail/bin/qmail-dkimkey", "-a", algorithm, domain, selector)
		for line := range strings.Lines(said) {
			switch line = strings.TrimSuffix(line, "\n"); {
			case strings.HasPrefix(line, "#"):
			case strings.Contains(line, " IN TXT "):
				net.Zone().Add(line)
			default:
				lines = append(lines, line)
			}
		}
	}
	if len(lines) != 2 {
		t.Fatalf("qmail-dkimkey said %q", lines)
	}
	h.Control("dkimsign", lines...)
}

// verifyDKIM verifies every signature of a message by dkimpy, and returns by whom
// they are. How the message is changed before, its verdict says.
func verifyDKIM(t *testing.T, h *testhost.Host, message string) string {
	t.Helper()
	return strings.TrimSpace(h.MustRun(testhost.Command{Argv: []string{"/usr/bin/python3", "-c", dkimpy}, Stdin: message}))
}

// dkimpy says for each signature whether it is right. Keys come from the DNS.
const dkimpy = `import sys, re, dkim
raw = sys.stdin.buffer.read().replace(b"\n", b"\r\n")
for i in range(raw.lower().split(b"\r\n\r\n")[0].count(b"dkim-signature:")):
    d = dkim.DKIM(raw, minkey=2048)
    try:
        ok = d.verify(idx=i)
    except dkim.DKIMException as e:
        ok = e
    f = d.signature_fields
    print((f.get(b"a", b"") + b" " + f.get(b"d", b"")).decode(), ok)
`

const bothTrue = "rsa-sha256 mx1.example True ed25519-sha256 mx1.example True"

// TestOutgoingMailIsSigned: mail of users here, of clients and bounces are signed
// by both keys, as somebody else's verifier says; what is forwarded is not.
func TestOutgoingMailIsSigned(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	h := mailHost(t, net, "mx1.example", "alice", "bob")
	far := net.Host("far.example")
	net.Zone().MX("far.example", 10, "far.example")
	sink := far.Sink(":25", nil)
	giveDKIM(t, net, h, "mx1.example")
	own(h, "bob", ".qmail", "&x@far.example\n")
	h.Control("tcp.smtp", far.IP.String()+`:allow,RELAYCLIENT=""`, ":allow")
	h.StartSuite()
	if found := h.Find("qmail-tlskey"); len(found) != 1 {
		t.Errorf("%d qmail-tlskey run", len(found))
	}
	verdict := func(number int) string {
		t.Helper()
		got := sink.Wait(testhost.Within(t, soon), number)[number-1]
		return strings.Join(strings.Fields(verifyDKIM(t, h, got.Text)), " ")
	}
	sorted := func(v string) bool { // the lines of dkimsign may be in either order
		return v == bothTrue || v == "ed25519-sha256 mx1.example True rsa-sha256 mx1.example True"
	}
	const text = "From: alice@mx1.example\nTo: x@far.example\nSubject: Z\u00fcge\n\n.\n..\nblanks  \nand \u00f6\n\n\n"
	sendmail(h, "alice", []string{"x@far.example"}, text)
	if got := verdict(1); !sorted(got) {
		t.Errorf("of a user: %s\n%s", got, sink.Accepted()[0].Text)
	}
	h.WaitForLog(0, `^delivery \d+: success: .*/DKIM_d=mx1\.example;_s=[se]1\./DKIM_d=mx1\.example;_s=[se]1\./$`)
	signed := sink.Accepted()[0].Text
	for _, c := range [][2]string{{"Subject: ", "Subject: x"}, {"To: x@", "To: y@"}, {"and ", "or "}, {"From: alice", "From: alicia"}} {
		changed := strings.Replace(signed, c[0], c[1], 1)
		if got := verifyDKIM(t, h, changed); strings.Contains(got, "True") || changed == signed {
			t.Errorf("%q instead of %q: %s", c[1], c[0], got)
		}
	}
	if err := smtp(testhost.Within(t, soon), far, h, "alice@mx1.example", []string{"x@far.example"}, text+strings.Repeat("A large message.\n", 20000)); err != nil {
		t.Fatal(err)
	}
	if got := verdict(2); !sorted(got) {
		t.Errorf("of a client: %s", got)
	}
	// Somebody who writes in alice's name gets no signature.
	if err := smtp(testhost.Within(t, soon), h, h, "alice@mx1.example", []string{"bob@mx1.example"}, text); err != nil {
		t.Fatal(err)
	}
	if got := verdict(3); got != "" {
		t.Errorf("forwarded: %s", got)
	}
	sendmail(h, "alice", []string{"-f", "x@far.example", "noone@mx1.example"}, letter("noone", "bounce"))
	got := verdict(4)
	if bounce := sink.Accepted()[3]; bounce.Sender != "" || !sorted(got) {
		t.Errorf("a bounce, from <%s>: %s", bounce.Sender, got)
	}
	h.StopSuite()
}

// TestUnsignedMailWaits: without its key a message is not sent, and the log says
// why; with the key it is.
func TestUnsignedMailWaits(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	h := mailHost(t, net, "mx1.example", "alice")
	far := net.Host("far.example")
	net.Zone().MX("far.example", 10, "far.example")
	sink := far.Sink(":25", nil)
	giveDKIM(t, net, h, "mx1.example")
	h.StartSuite()
	lines := strings.Split(strings.TrimSpace(h.Must("cat", "/var/qmail/control/dkimsign")), "\n")
	h.Control("dkimsign", append(lines, "mx1.example s2 mx1.example/s2")...)
	first := h.Log().Len()
	sendmail(h, "alice", []string{"x@far.example"}, letter("x@far.example", "waits"))
	h.WaitForLog(first, `^delivery \d+: deferral: Unable_to_sign_message_for_mx1\.example,.*does_not_have_the_key_control/domainkeys/mx1\.example/s2:.*\(#4\.7\.0\)/$`)
	record := regexp.MustCompile(`(?m)^s2\._domainkey.*$`).FindString(h.Must("/var/qmail/bin/qmail-dkimkey", "mx1.example", "s2"))
	net.Zone().Add(record)
	if err := h.Suite().Signal(hangup); err != nil {
		t.Fatal(err)
	}
	h.WaitForLog(first, `^qmail-tlskey: control/domainkeys/mx1\.example/s2: a key of RSA, 2048 bits$`)
	if len(sink.Accepted()) > 0 {
		t.Error("it was sent")
	}
	// The workers ask for the new keys while they deliver.
	for len(sink.Accepted()) == 0 {
		from := h.Log().Len()
		if err := h.Suite().Signal(alarm); err != nil {
			t.Fatal(err)
		}
		h.WaitForLog(from, `^delivery \d+: (success|deferral): `)
	}
	got := sink.Accepted()[0]
	if verdict := verifyDKIM(t, h, got.Text); strings.Count(verdict, "True") != 3 {
		t.Errorf("got %s", verdict)
	}
	if said := h.Must("/var/qmail/bin/qmail-remote", "--explain", "x@far.example", "alice@mx1.example"); !strings.Contains(said, "dkim: signed by mx1.example, selector s2, with control/domainkeys/mx1.example/s2\n") {
		t.Errorf("explained: %s", said)
	}
	h.StopSuite()
}
