package smtpd

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/subtle"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/scram"
	"postrider/internal/wire/auth"
	"postrider/internal/wire/call"
	"postrider/internal/wire/parent"
)

// fakeAuth knows passwords as they are. It answers in the protocol's way.
type fakeAuth struct {
	users map[string]string
	lacks auth.Mechanisms
	wait  time.Duration // of refusals

	mu      sync.Mutex
	asked   int
	clients []string
}

const brokenUser = "broken" // of whom nobody can tell

func (f *fakeAuth) Mechanisms() auth.Mechanisms {
	return (auth.Passwords | auth.CRAMMD5 | auth.SCRAMSHA256) &^ f.lacks
}

func (f *fakeAuth) Password(a auth.Attempt, password []byte) (bool, error) {
	user := a.User
	if user == brokenUser {
		return false, errors.New("broken")
	}
	want, known := f.users[user]
	return known && want == string(password), nil
}

func (f *fakeAuth) CRAM(a auth.Attempt, challenge, digest []byte) (bool, error) {
	user := a.User
	want, known := f.users[user]
	h := hmac.New(md5.New, []byte(want))
	h.Write(challenge)
	return known && subtle.ConstantTimeCompare(h.Sum(nil), digest) == 1, nil
}

func (f *fakeAuth) Salt(a auth.Attempt) ([]byte, uint32, error) {
	user := a.User
	if user == brokenUser {
		return nil, 0, errors.New("broken")
	}
	return []byte("salt of " + user), 4096, nil
}

func (f *fakeAuth) Proof(a auth.Attempt, message, proof []byte) ([]byte, bool, error) {
	user := a.User
	want, known := f.users[user]
	keys, err := scram.Derive(want, []byte("salt of "+user), 4096)
	if err != nil || !known {
		return nil, false, err
	}
	signature, ok := keys.Verify(message, proof)
	return signature, ok, nil
}

// Closed, Failed and Succeeded make it its own Guard.
func (f *fakeAuth) Closed(user, client string) (time.Duration, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	f.clients = append(f.clients, client)
	return 0, user == "limited"
}

func (f *fakeAuth) Failed(string, string) time.Duration { return f.wait }
func (f *fakeAuth) Succeeded(string, string)            {}

// giveUsers links the daemon to a process that has these passwords.
func (h *host) giveUsers(users map[string]string) *fakeAuth {
	h.t.Helper()
	f := &fakeAuth{users: users}
	h.linkAuth(f)
	return f
}

func (h *host) linkAuth(f *fakeAuth) {
	h.t.Helper()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		h.t.Fatal(err)
	}
	server := auth.Server{Verifier: f, Guard: f, Log: func(error) {}}
	go func() {
		if err := call.Serve(theirs, 4, server.Answer); err != nil {
			h.t.Error(err)
		}
	}()
	h.send(parent.Frame{Kind: parent.Link, Name: parent.Auth, File: ours})
}

func socketPair(t testing.TB) (ours, theirs *os.File) {
	t.Helper()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}
