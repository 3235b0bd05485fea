package scenario

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"postrider/internal/testhost"
)

// checker is a milter on Sendmail's libmilter.
const checker = `
import Milter, sys

class Checker(Milter.Base):
    def connect(self, name, family, address):
        self.client = address[0]
        return Milter.CONTINUE
    def envfrom(self, sender, *parameters):
        self.lines = b""
        if sender == "<spammer@else.example>":
            self.setreply("553", "5.1.8", "we do not", "like you")
            return Milter.REJECT
        return Milter.CONTINUE
    def envrcpt(self, recipient, *parameters):
        if recipient == "<bob@mx1.example>":
            self.setreply("450", "4.2.1", "bob is away")
            return Milter.TEMPFAIL
        return Milter.CONTINUE
    def header(self, name, value):
        if name == "Received":
            sys.exit("the Received line of the server is shown")
        return Milter.CONTINUE
    def body(self, piece):
        self.lines += piece
        return Milter.CONTINUE
    def eom(self):
        if b"VIRUS" in self.lines:
            self.setreply("554", "5.7.1", "a virus")
            return Milter.REJECT
        if b"FORGET" in self.lines:
            return Milter.DISCARD
        if b"ODD" in self.lines:
            self.quarantine("odd")
        self.addheader("X-Checked", "for %s as %s, %d bytes" % (self.client, self.getsymval("i"), len(self.lines)))
        self.chgheader("Subject", 1, "changed")
        if b"CARL" in self.lines:
            self.delrcpt("<alice@mx1.example>")
            self.addrcpt("<carl@mx1.example>")
            self.chgfrom("<new@else.example>")
            self.replacebody(b"another text\r\n")
        return Milter.CONTINUE

Milter.factory = Checker
Milter.set_flags(Milter.CHGBODY | Milter.CHGHDRS | Milter.ADDHDRS | Milter.ADDRCPT | Milter.DELRCPT | Milter.CHGFROM)
Milter.runmilter("checker", "inet:8893@127.0.0.1", 240)
`

// startChecker starts the milter and waits until it listens.
func startChecker(t *testing.T, h *testhost.Host) *testhost.Process {
	t.Helper()
	h.WriteFile("/var/checker.py", checker, 0o644)
	p, err := h.Start(testhost.Command{Argv: []string{"/usr/bin/python3", "/var/checker.py"}, User: "nobody"})
	if err != nil {
		t.Fatal(err)
	}
	ctx := testhost.Within(t, soon)
	for {
		if c, err := h.Dial(ctx, "tcp", "127.0.0.1:8893"); err == nil {
			c.Close()
			return p
		}
		if ctx.Err() != nil {
			t.Fatal("the milter does not listen")
		}
		pause(ctx) // it does not say when it does
	}
}

// TestMilters sends mail by a milter in all the ways that it can answer.
func TestMilters(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice", "bob", "carl", "judge")
	h.Control("milters", "inet:127.0.0.1:8893")
	h.Control("quarantine", "judge@mx1.example")
	h.StartSuite()
	send := func(sender string, recipient, text string) string {
		var reply *testhost.Reply
		err := smtp(testhost.Within(t, soon), h, h, sender, []string{recipient + "@mx1.example"}, "Subject: first\n\n"+text+"\n")
		switch {
		case err == nil:
			return ""
		case errors.As(err, &reply):
			return strings.TrimSpace(reply.Error())
		}
		t.Fatal(err)
		return ""
	}
	if got := send("x@else.example", "alice", "before"); !strings.HasPrefix(got, "451 4.3.5 the mail filter is not available") {
		t.Errorf("without the milter: %q", got)
	}
	checker := startChecker(t, h)
	large := strings.Repeat(strings.Repeat("0123456789abcdef", 4)+"\n", 10<<14)
	for name, c := range map[string]struct{ sender, recipient, text, want string }{
		"passes":    {"x@else.example", "alice", "hello", ""},
		"10 MB":     {"x@else.example", "alice", large, ""},
		"sender":    {"spammer@else.example", "alice", "hello", "553 5.1.8 we do not"},
		"recipient": {"x@else.example", "bob", "hello", "450 4.2.1 bob is away"},
		"virus":     {"x@else.example", "alice", "VIRUS", "554 5.7.1 a virus"},
		"forgotten": {"x@else.example", "alice", "FORGET", ""},
		"changed":   {"x@else.example", "alice", "CARL", ""},
		"held":      {"x@else.example", "alice", "ODD", ""},
	} {
		if got := send(c.sender, c.recipient, c.text); !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	ctx := testhost.Within(t, soon)
	for _, m := range h.Maildir("alice").Wait(ctx, 2) {
		if got, want := m.Header("X-Checked"), fmt.Sprintf("for %s as ", h.IP); !strings.HasPrefix(got, want) || m.Header("Subject") != "changed" {
			t.Errorf("X-Checked is %q, Subject %q", got, m.Header("Subject"))
		}
	}
	m := h.Maildir("carl").Wait(ctx, 1)[0]
	if !strings.HasPrefix(m.Text, "Return-Path: <new@else.example>") || !strings.HasSuffix(m.Text, "\n\nanother text\n") {
		t.Errorf("changed to %q", m.Text)
	}
	held := h.Maildir("judge").Wait(ctx, 1)[0]
	if held.Header("Return-Path") != "<>" || held.Header("X-Quarantine-Reason") != "odd" || held.Header("X-Quarantine-Sender") != "<x@else.example>" ||
		held.Header("X-Quarantine-Recipients") != "<alice@mx1.example>" {
		t.Errorf("in quarantine: %s", held.Text)
	}
	waitEmpty(t, h)
	if a, c := h.Maildir("alice").Count(), h.Maildir("carl").Count(); a != 2 || c != 1 {
		t.Errorf("%d and %d messages arrived", a, c)
	}
	if err := checker.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := checker.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	if got := send("x@else.example", "alice", "after"); !strings.HasPrefix(got, "451 4.3.5") {
		t.Errorf("after the milter's end: %q", got)
	}
	h.StopSuite()
}
