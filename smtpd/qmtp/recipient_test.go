package qmtp

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/address"
	"postrider/internal/fdpass"
	"postrider/internal/mailboxes"
	"postrider/internal/wire/call"
	"postrider/internal/wire/lookup"
	"postrider/internal/wire/parent"
)

// lookupLink is a link to a qmail-lookup for which everybody exists but those
// whose names say otherwise.
func lookupLink(t testing.TB) *os.File {
	t.Helper()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	go call.Serve(theirs, 64, func(q []byte) []byte {
		if strings.HasPrefix(string(q), "Asilent") {
			return nil
		}
		return lookup.Reply(q, func(a address.Address) lookup.Answer {
			for prefix, verdict := range map[string]lookup.Verdict{"nobody": lookup.Unknown, "full": lookup.Full, "unsure": lookup.Unsure} {
				if strings.HasPrefix(a.Local(), prefix) {
					return lookup.Answer{Verdict: verdict, Text: "as its name says"}
				}
			}
			return lookup.Answer{Verdict: lookup.Exists}
		})
	})
	return ours
}

func (h *host) linkLookup() {
	h.t.Helper()
	h.send(parent.Frame{Kind: parent.Link, Name: parent.Lookup, File: lookupLink(h.t)})
}

const (
	noMailboxText = "Dsorry, no mailbox here by that name (#5.1.1)"
	fullText      = "Dsorry, recipient mailbox is full (#5.2.2)"
	unsureText    = "Zunable to verify that recipient now, try again later (#4.3.0)"
	harvesterText = "Ztoo many invalid addresses (#4.3.0)"
)

// TestVerify: who has no mailbox is refused, and nobody is taken of whom that
// is not known.
func TestVerify(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		files  map[string]string
		relay  bool
		rcpts  []string
		want   []string
		queued string // envelope
	}{
		{"each", nil, false, []string{"a", "nobody", "full", "unsure", "b@other", "c"},
			[]string{ok, noMailboxText, fullText, unsureText, notHere, ok}, "Fs@x Ta Tc"},
		{"none", nil, false, []string{"nobody"}, []string{noMailboxText}, ""},
		{"switched off", map[string]string{"verifyrcpt": "0\n"}, false, []string{"nobody"}, []string{ok}, "Fs@x Tnobody"},
		{"who may relay", nil, true, []string{"nobody"}, []string{ok}, "Fs@x Tnobody"},
		{"also who may relay", map[string]string{"verifyrcpt": "2\n"}, true, []string{"nobody", "b@other"}, []string{noMailboxText, ok}, "Fs@x Tb@other"},
		{"who tries names", map[string]string{"maxbadrcpt": "2\n"}, false, []string{"nobody", "nobody2", "nobody3", "a"},
			[]string{noMailboxText, noMailboxText, harvesterText, harvesterText}, ""},
		{"who tries names, and knows some", map[string]string{"maxbadrcpt": "2\n"}, false, []string{"nobody", "nobody2", "a"},
			[]string{noMailboxText, noMailboxText, ok}, "Fs@x Ta"},
		{"who may try names", map[string]string{"maxbadrcpt": "0\n"}, false, []string{"nobody", "nobody2", "a"},
			[]string{noMailboxText, noMailboxText, ok}, "Fs@x Ta"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			conn := &script{pieces: []string{mail("\nx", "s@x", c.rcpts...)}}
			s, q := testSession(t, qmtpProtocol, conn, c.files)
			s.peer.relay = c.relay
			s.mailboxes = mailboxes.New()
			if err := s.mailboxes.Relink(lookupLink(t)); err != nil {
				t.Fatal(err)
			}
			o := s.outcome(t, q, conn)
			answers := ""
			for _, a := range c.want {
				answers += encoded(a)
			}
			if o.answers != answers {
				t.Errorf("answers %q, want %q", o.answers, answers)
			}
			var want []string
			if c.queued != "" {
				want = []string{c.queued + ` "x"`}
			}
			if !slices.Equal(o.queued, want) {
				t.Errorf("queued %q, want %q", o.queued, want)
			}
		})
	}
}

// TestNobodyVerifies: without qmail-lookup nothing is taken, and one line
// says so.
func TestNobodyVerifies(t *testing.T) {
	t.Parallel()
	conn := &script{pieces: []string{mail("\nx", "s@x", "a", "b")}}
	s, q := testSession(t, qmtpProtocol, conn, nil)
	s.mailboxes = mailboxes.New()
	o := s.outcome(t, q, conn)
	if want := encoded(unsureText) + encoded(unsureText); o.answers != want || len(o.queued) > 0 {
		t.Errorf("answers %q, queued %q", o.answers, o.queued)
	}
	if n := strings.Count(o.log, "what=verifyrcpt"); n != 1 {
		t.Errorf("%d lines in %s", n, o.log)
	}
}

// TestDaemonVerifies is the way of the link.
func TestDaemonVerifies(t *testing.T) {
	t.Parallel()
	h := startHost(t, qmtpProtocol, nil)
	c := h.dial()
	c.send(mail("\nx", "s@x", "nobody", "a"))
	c.expect(noMailboxText, ok)
	c.conn.Close()
	h.stop()
	if want := "rcpt=nobody class=D rule=verifyrcpt "; !strings.Contains(h.log.String(), want) {
		t.Errorf("no %q in\n%s", want, h.log)
	}
}

// TestHarvestersWait: who has named too many from one address waits for each
// further answer, in whatever session, until the daemon ends.
func TestHarvestersWait(t *testing.T) {
	t.Parallel()
	h := startHost(t, qmtpProtocol, map[string]string{"maxbadrcpt": "2\n"})
	c := h.dial()
	c.send(mail("\nx", "s@x", "nobody", "nobody2"))
	c.expect(noMailboxText, noMailboxText)
	c.conn.Close()
	c = h.dial()
	begun := time.Now()
	c.send(mail("\nx", "s@x", "nobody3", "a"))
	c.expect(noMailboxText, ok)
	if took := time.Since(begun); took < 3*time.Second {
		t.Errorf("the answer came after %v", took)
	}
	c.send(mail("\nx", "s@x", "b"))
	c.expect(ok)
	begun = time.Now()
	c.send(mail("\nx", "s@x", "nobody4"))
	h.stop() // as sessions end behind their message
	if took := time.Since(begun); took >= 3*time.Second {
		t.Errorf("the daemon ended after %v", took)
	}
}

// TestForgedResults: no field of a message from the network gives results in
// our name, however the message comes.
func TestForgedResults(t *testing.T) {
	t.Parallel()
	const before, own, behind = "Subject: x\n", "Authentication-Results: mx.example.org;\n spf=pass\n", "X: y\n"
	for _, c := range []struct{ name, text, want string }{
		{"one", before + own + behind + "\nbody\n", before + behind + "\nbody\n"},
		{"at the end of a header", before + own, before},
		{"another's", before + strings.Replace(own, "mx.", "my.", 1), before + strings.Replace(own, "mx.", "my.", 1)},
		{"in the body", before + "\n" + own, before + "\n" + own},
		{"nothing but the name", before + "authentication-results: MX.example.org;", before},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			input := mail("\n"+c.text, "s@x", "a")
			for split := range len(input) {
				o := converse(t, qmtpProtocol, map[string]string{"authservid": "mx.example.org\n"}, input[:split], input[split:])
				if want := fmt.Sprintf("Fs@x Ta %q", c.want); !slices.Equal(o.queued, []string{want}) {
					t.Fatalf("split at %d: queued %q, want %q", split, o.queued, want)
				}
			}
		})
	}
}
