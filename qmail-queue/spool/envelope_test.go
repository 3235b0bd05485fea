package spool

import (
	"errors"
	"strings"
	"testing"

	"postrider/internal/address"
	"postrider/internal/esmtp"
)

// Where facts may stand in a submitted envelope, and that they stay with their
// recipient.
func TestFactsInEnvelopes(t *testing.T) {
	t.Parallel()
	const bad = "91"
	for _, c := range []struct{ in, want string }{
		{"F Ta@x  ", "Ta@x "},
		{"Fs@x U rHDRS eid NNEVER orfc822;o@x Ta@x Tb@x  ", "U rHDRS eid NNEVER orfc822;o@x Ta@x Tb@x "},
		{"Fs@x Ta@x NFAILURE Tb@x orfc822;o@x Tc@x  ", "Ta@x NFAILURE Tb@x orfc822;o@x Tc@x "},
		{"Fs@x  ", ""},
		{"Fs@x U NNEVER  ", bad},      // no recipient follows
		{"Fs@x NNEVER U Ta@x  ", bad}, // of the message, too late
		{"Fs@x Ta@x U  ", bad},
		{"U Fs@x Ta@x  ", bad},
		{"Fs@x U U Ta@x  ", bad},
		{"Fs@x rHDRS rFULL Ta@x  ", bad},
		{"Fs@x NNEVER NNEVER Ta@x  ", bad},
		{"Fs@x NALWAYS Ta@x  ", bad},
		{"Fs@x eid=1 Ta@x  ", bad},
		{"Fs@x ljoe Ta@x  ", bad}, // who has logged in says qmail-smtpd,
		{"Fs@x u0 Ta@x  ", bad},   // who submits says the connection,
		{"Fs@x a1 Ta@x  ", bad},   // and when, the spool's clock
		{"Fs@x Fs@x Ta@x  ", bad},
		{"Fs@x X Ta@x  ", bad},
	} {
		var got []byte
		e := envelope{}
		e.recipient = func(a address.Address, facts esmtp.Recipient) error {
			got = append(append(append(facts.Append(got), 'T'), a.String()...), 0)
			return nil
		}
		err := e.write([]byte(strings.ReplaceAll(c.in, " ", "\x00")))
		if err == nil {
			err = e.complete()
		}
		text := strings.ReplaceAll(string(append(e.facts.Append(nil), got...)), "\x00", " ")
		var r *refusal
		if errors.As(err, &r) && r.code == exitGrammar {
			text = bad
		} else if err != nil {
			t.Errorf("%q: %v", c.in, err)
		}
		if text != c.want {
			t.Errorf("%q: %q, want %q", c.in, text, c.want)
		}
	}
}

// Nobody but who has checked them may name user or client.
func TestClaimedOrigin(t *testing.T) {
	t.Parallel()
	for _, record := range []string{"ljoe", "c192.0.2.1"} {
		for knows, want := range map[bool]bool{true: true, false: false} {
			e := envelope{knowsUsers: knows, recipient: func(address.Address, esmtp.Recipient) error { return nil }}
			err := e.write([]byte("Fs@x\x00" + record + "\x00Ta@x\x00\x00"))
			if taken := err == nil && e.complete() == nil; taken != want {
				t.Errorf("%s, by one who knows (%v): taken %v", record, knows, taken)
			}
		}
	}
	e := envelope{recipient: func(address.Address, esmtp.Recipient) error { return nil }}
	if err := e.write([]byte("Fs@x\x00b1\x00Ta@x\x00\x00")); err == nil {
		t.Error("a submitter may say what only the header says")
	}
}

// Who has checked a user may name him.
func TestUserOfTheNetwork(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"Fs@x\x00ljoe\x00Ta@x\x00\x00": "joe", "Fs@x\x00Ta@x\x00\x00": "", "Fs@x\x00l\x00Ta@x\x00\x00": "!", "Fs@x\x00lx\x00ly\x00Ta@x\x00\x00": "!"} {
		e := envelope{knowsUsers: true, recipient: func(address.Address, esmtp.Recipient) error { return nil }}
		got := "!"
		if err := e.write([]byte(in)); err == nil && e.complete() == nil {
			got = e.facts.User
		}
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
