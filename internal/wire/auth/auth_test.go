package auth

import (
	"bytes"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/wire/call"
)

// knows is a Verifier and a Guard whose answers depend on the name.
type knows struct{ failed, succeeded atomic.Int32 }

var errBroken = errors.New("broken")

func (*knows) Mechanisms() Mechanisms { return Passwords | SCRAMSHA256 }

func (*knows) Password(a Attempt, password []byte) (bool, error) {
	if a.User == "broken" {
		return true, errBroken
	}
	return a == Attempt{"joe", "192.0.2.1"} && string(password) == "secret", nil
}

func (*knows) CRAM(a Attempt, challenge, digest []byte) (bool, error) {
	return string(challenge) == "<x>" && digest[15] == 15, nil
}

func (*knows) Salt(a Attempt) ([]byte, uint32, error) {
	switch a.User {
	case "broken":
		return nil, 0, errBroken
	case "long":
		return make([]byte, MaxSalt+1), 1, nil
	case "longest":
		return make([]byte, MaxSalt), 1, nil
	}
	return []byte("salt of " + a.User), 4096, nil
}

func (*knows) Proof(a Attempt, message, proof []byte) ([]byte, bool, error) {
	return []byte("signature"), string(message) == "message" && proof[31] == 31, nil
}

func (*knows) Closed(user, client string) (time.Duration, bool) {
	return 30 * time.Second, user == "closed"
}

func (k *knows) Failed(user, client string) time.Duration { k.failed.Add(1); return 5 * time.Second }
func (k *knows) Succeeded(user, client string)            { k.succeeded.Add(1) }

func ascending(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

func TestQuestions(t *testing.T) {
	t.Parallel()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	k := &knows{}
	server := Server{Verifier: k, Guard: k, Log: func(error) {}}
	go call.Serve(theirs, 1, server.Answer)
	c := NewClient()
	if _, err := c.Mechanisms(); !errors.Is(err, call.ErrNoLink) {
		t.Errorf("without a link: %v", err)
	}
	if err := c.Relink(ours); err != nil {
		t.Fatal(err)
	}
	if m, err := c.Mechanisms(); m != Passwords|SCRAMSHA256 || err != nil {
		t.Errorf("%b, %v", m, err)
	}
	who := func(user string) Attempt { return Attempt{user, "192.0.2.1"} }
	yes := Verdict{OK: true, Signature: []byte{}}
	no := Verdict{Wait: 5 * time.Second}
	for _, q := range []struct {
		name string
		ask  func() (Verdict, error)
		want Verdict
		err  error
	}{
		{"password", func() (Verdict, error) { return c.Password(who("joe"), []byte("secret")) }, yes, nil},
		{"wrong password", func() (Verdict, error) { return c.Password(who("joe"), []byte("x")) }, no, nil},
		{"closed", func() (Verdict, error) { return c.Password(who("closed"), nil) }, Verdict{Limited: true, Wait: 30 * time.Second}, nil},
		{"broken", func() (Verdict, error) { return c.Password(who("broken"), nil) }, Verdict{}, errUnsure},
		{"CRAM", func() (Verdict, error) { return c.CRAM(who("joe"), []byte("<x>"), ascending(16)) }, yes, nil},
		{"wrong CRAM", func() (Verdict, error) { return c.CRAM(who("joe"), []byte("<y>"), ascending(16)) }, no, nil},
		{"proof", func() (Verdict, error) { return c.Proof(who("joe"), []byte("message"), ascending(32)) }, Verdict{OK: true, Signature: []byte("signature")}, nil},
		{"wrong proof", func() (Verdict, error) { return c.Proof(who("joe"), []byte("other"), ascending(32)) }, no, nil},
	} {
		got, err := q.ask()
		if !errors.Is(err, q.err) || got.OK != q.want.OK || got.Limited != q.want.Limited || got.Wait != q.want.Wait || !bytes.Equal(got.Signature, q.want.Signature) {
			t.Errorf("%s: %+v, %v", q.name, got, err)
		}
	}
	if failed, succeeded := k.failed.Load(), k.succeeded.Load(); failed != 3 || succeeded != 3 {
		t.Errorf("%d failed, %d succeeded", failed, succeeded)
	}
	if salt, n, err := c.Salt(who("joe")); string(salt) != "salt of joe" || n != 4096 || err != nil {
		t.Errorf("%q, %d, %v", salt, n, err)
	}
	if salt, n, err := c.Salt(who("longest")); len(salt) != MaxSalt || n != 1 || err != nil {
		t.Errorf("the longest salt: %d bytes, %d, %v", len(salt), n, err)
	}
	for _, user := range []string{"broken", "long"} {
		if _, _, err := c.Salt(who(user)); !errors.Is(err, errUnsure) {
			t.Errorf("salt of %s: %v", user, err)
		}
	}
}

// Questions beyond the limits have no answer.
func TestLimits(t *testing.T) {
	t.Parallel()
	k := &knows{}
	server := Server{Verifier: k, Guard: k, Log: func(error) {}}
	for name, q := range map[string]question{
		"user":      {kind: kindPassword, Attempt: Attempt{User: strings.Repeat("x", MaxUser+1)}},
		"no user":   {kind: kindPassword},
		"client":    {kind: kindSalt, Attempt: Attempt{"joe", strings.Repeat("1", maxClient+1)}},
		"password":  {kind: kindPassword, Attempt: Attempt{User: "joe"}, secret: make([]byte, MaxPassword+1)},
		"challenge": {kind: kindCRAM, Attempt: Attempt{User: "joe"}, secret: make([]byte, MaxChallenge+1), proof: ascending(16)},
		"digest":    {kind: kindCRAM, Attempt: Attempt{User: "joe"}, proof: ascending(17)},
		"message":   {kind: kindProof, Attempt: Attempt{User: "joe"}, secret: make([]byte, MaxMessage+1), proof: ascending(32)},
		"proof":     {kind: kindProof, Attempt: Attempt{User: "joe"}, proof: ascending(31)},
		"kind":      {kind: 'X', Attempt: Attempt{User: "joe"}},
	} {
		if answer := server.Answer(q.append(nil)); answer != nil {
			t.Errorf("%s: %q", name, answer)
		}
	}
	if k.failed.Load()+k.succeeded.Load() > 0 {
		t.Error("one was counted")
	}
	for _, b := range []string{"", "Y", "N", "N\x00\x00\x00", "L\x00\x00\x00\x00\x00", "E", "X", "Y\x00\x00\x00\x21" + strings.Repeat("x", 33)} {
		if v, err := parseVerdict([]byte(b)); err == nil || v.OK {
			t.Errorf("verdict %q: %+v", b, v)
		}
	}
}

// FuzzQuestion: what is decoded is written again as it was, and no answer to
// anything is longer than the client takes.
func FuzzQuestion(f *testing.F) {
	f.Add([]byte("M"))
	f.Add(question{kind: kindPassword, Attempt: Attempt{"joe", "::1"}, secret: []byte("x")}.append(nil))
	f.Add(question{kind: kindProof, Attempt: Attempt{"joe", "::1"}, secret: []byte("x"), proof: ascending(32)}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if q, err := parseQuestion(b); err == nil && !bytes.Equal(q.append(nil), b) {
			t.Fatalf("%q is written %q", b, q.append(nil))
		}
		if v, err := parseVerdict(b); err == nil {
			if v.Wait > MaxWait || len(v.Signature) > ProofSize {
				t.Fatalf("%q: %+v", b, v)
			}
		}
		k := &knows{}
		if a := (&Server{Verifier: k, Guard: k, Log: func(error) {}}).Answer(b); len(a) > 200 {
			t.Fatalf("%q: an answer of %d bytes", b, len(a))
		}
	})
}

// A peer that says what no answer is has said nothing.
func TestAnswersOfAnotherForm(t *testing.T) {
	t.Parallel()
	c := NewClient()
	if _, err := c.Password(Attempt{User: "joe"}, nil); !errors.Is(err, call.ErrNoLink) {
		t.Errorf("without a link: %v", err)
	}
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Relink(ours); err != nil {
		t.Fatal(err)
	}
	answers := make(chan string, 1)
	go call.Serve(theirs, 1, func([]byte) []byte { return []byte(<-answers) })
	for _, answer := range []string{"M", "Mxx", "X\x01"} {
		answers <- answer
		if m, err := c.Mechanisms(); m != 0 || err != errForm {
			t.Errorf("mechanisms %q: %b, %v", answer, m, err)
		}
	}
	for _, answer := range []string{"X", "S", "S\x00\x00\x00\x01x", "S\x00\x00\x00\x01x\x00\x00\x10\x00x", "N\x00\x00\x00\x01x\x00\x00\x10\x00"} {
		answers <- answer
		if _, _, err := c.Salt(Attempt{User: "joe"}); err == nil {
			t.Errorf("salt %q was taken", answer)
		}
	}
}

// Who finds all places taken waits for one, and not for ever.
func TestAskWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := NewClient()
		for range atOnce {
			c.places <- struct{}{}
		}
		begun := time.Now()
		if _, err := c.Password(Attempt{User: "joe"}, nil); err != call.ErrBusy || time.Since(begun) != Wait {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		if _, _, err := c.Salt(Attempt{User: "joe"}); err != call.ErrBusy {
			t.Errorf("salt: %v", err)
		}
		if len(c.places) != atOnce {
			t.Errorf("%d places are taken", len(c.places))
		}
	})
}

// What a verifier cannot tell is logged with its reason, and so is a question
// that is none; what can be told is not.
func TestLog(t *testing.T) {
	t.Parallel()
	k := &knows{}
	for _, c := range []struct {
		name     string
		question question
		want     error // nil: nothing is logged
	}{
		{"password", question{kind: kindPassword, Attempt: Attempt{User: "joe"}}, nil},
		{"password of whom it cannot look up", question{kind: kindPassword, Attempt: Attempt{User: "broken"}}, errBroken},
		{"salt of whom it cannot look up", question{kind: kindSalt, Attempt: Attempt{User: "broken"}}, errBroken},
		{"salt that is too long", question{kind: kindSalt, Attempt: Attempt{User: "long"}}, nil},
		{"no name", question{kind: kindSalt}, errForm},
	} {
		var logged []error
		server := Server{Verifier: k, Guard: k, Log: func(err error) { logged = append(logged, err) }}
		server.Answer(c.question.append(nil))
		if (len(logged) == 1) != (c.want != nil) || len(logged) > 0 && logged[0] != c.want {
			t.Errorf("%s: logged %v, want %v", c.name, logged, c.want)
		}
	}
}

// A place is free again once its question has its answer, or none.
func TestPlacesAreGivenBack(t *testing.T) {
	t.Parallel()
	c := NewClient() // without a link each question fails at once
	for range atOnce + 1 {
		if _, err := c.Password(Attempt{User: "joe"}, nil); !errors.Is(err, call.ErrNoLink) {
			t.Fatalf("got %v", err)
		}
	}
	if len(c.places) != 0 {
		t.Errorf("%d places are taken", len(c.places))
	}
}
