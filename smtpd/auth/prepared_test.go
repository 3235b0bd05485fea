package auth

import (
	"strings"
	"testing"

	"postrider/internal/saslprep"
	"postrider/internal/scram"
	"postrider/internal/wire/auth"
)

// Two spellings of one name and one password: "é" as one character and as two,
// and a no-break space, which becomes one of ASCII (RFC 4013).
const (
	composed   = "caf\u00e9 au lait"
	decomposed = "cafe\u0301\u00a0au lait"
	other      = "cafe au lait"
)

// A password is the same in all its spellings, whatever is kept of it and in
// whichever it was written down, also before it was brought into one.
func TestSpellings(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"argon2id", "scram", "plain"} {
		for name, written := range map[string]string{"prepared": saslprep.Prepare(decomposed), "as it was": decomposed} {
			text, err := makeHash(scheme, written)
			if err != nil {
				t.Fatal(err)
			}
			p, log := bookOf(t, "jos\u00e9:"+text)
			a := auth.Attempt{User: "jos\u00e9", Client: "192.0.2.1"}
			for password, want := range map[string]bool{
				decomposed: true, composed: name == "prepared" || scheme == "plain", other: false, decomposed + "x": false, "caf\xe9": false,
			} {
				if got, err := p.Password(a, []byte(password)); got != want || err != nil {
					t.Errorf("%s %s, %+q: %v, %v", scheme, name, password, got, err)
				}
			}
			if len(*log) > 0 {
				t.Errorf("log %q", *log)
			}
		}
	}
}

// Clients of SCRAM compute with the form of RFC 4013, those of CRAM-MD5 with
// either.
func TestSpellingsOfProofs(t *testing.T) {
	t.Parallel()
	p, _ := bookOf(t, "joe:{PLAIN}"+decomposed)
	a := auth.Attempt{User: "joe", Client: "192.0.2.1"}
	for password, want := range map[string]bool{composed: true, decomposed: true, other: false} {
		if got, err := p.CRAM(a, []byte("<1@x>"), cram(password, []byte("<1@x>"))); got != want || err != nil {
			t.Errorf("CRAM-MD5, %+q: %v, %v", password, got, err)
		}
	}
	salt, iterations, err := p.Salt(a)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := scram.Derive(composed, salt, iterations)
	if err != nil {
		t.Fatal(err)
	}
	e, err := p.find("joe")
	if err != nil {
		t.Fatal(err)
	}
	kept, err := scram.Derive(saslprep.Prepare(string(e.hash.(plain))), salt, iterations)
	if err != nil || string(kept.Stored) != string(keys.Stored) {
		t.Errorf("the keys of a client are other ones, %v", err)
	}
}

// The file may have a name in another spelling; a name is there once.
func TestSpellingsOfNames(t *testing.T) {
	t.Parallel()
	p, log := bookOf(t, "jose\u0301:{PLAIN}secret", "\uff4a\uff49\uff4d:{PLAIN}secret")
	for _, name := range []string{"jos\u00e9", "jim"} {
		if ok, err := p.Password(auth.Attempt{User: name}, []byte("secret")); !ok || err != nil {
			t.Errorf("%+q: %v, %v", name, ok, err)
		}
	}
	p, log = bookOf(t, "jose\u0301:{PLAIN}secret", "jos\u00e9:{PLAIN}other")
	if _, err := p.Password(auth.Attempt{User: "jos\u00e9"}, []byte("other")); err == nil || len(*log) != 1 {
		t.Errorf("two lines of one user: %v, log %q", err, *log)
	}
}

func TestOrdersArePrepared(t *testing.T) {
	t.Parallel()
	o, err := parseOrder([]string{"-s", "plain", "jose\u0301"})
	if err != nil || o.user != "jos\u00e9" {
		t.Errorf("%+q, %v", o.user, err)
	}
	for _, name := range []string{"a\uff1ab", "\uff03a", strings.Repeat("\ufdfa", 80)} { // ":", "#", and what gets too long
		if _, err := parseOrder([]string{name}); err == nil {
			t.Errorf("%+q is taken", name)
		}
	}
	if got, found := edited("#key x\njose\u0301:a\njim:b\n", "jos\u00e9", "jos\u00e9:c\n"); !found || !strings.HasSuffix(got, "jos\u00e9:c\njim:b\n") {
		t.Errorf("edited to %+q, %v", got, found)
	}
}
