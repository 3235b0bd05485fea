package auth

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/attempts"
	"postrider/internal/fdpass"
	"postrider/internal/wire/auth"
	"postrider/internal/wire/call"
)

// proofOf is what a client computes (RFC 5802 section 3).
func proofOf(t *testing.T, password string, salt []byte, iterations uint32, message string) []byte {
	t.Helper()
	salted, err := pbkdf2.Key(sha256.New, password, salt, int(iterations), sha256.Size)
	if err != nil {
		t.Fatal(err)
	}
	sum := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	client := sum(salted, "Client Key")
	stored := sha256.Sum256(client)
	proof := make([]byte, sha256.Size)
	subtle.XORBytes(proof, client, sum(stored[:], message))
	return proof
}

// serve links a client to somebody who answers from these passwords.
func serve(t *testing.T, p *passwords) (client *auth.Client, end func()) {
	t.Helper()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	server := auth.Server{Verifier: p, Guard: attempts.New(time.Now), Log: func(err error) { t.Error(err) }}
	ended := make(chan error, 1)
	go func() { ended <- call.Serve(theirs, atOnce, server.Answer) }()
	client = auth.NewClient()
	if err := client.Relink(ours); err != nil {
		t.Fatal(err)
	}
	return client, func() {
		another, far, err := fdpass.Pair(unix.SOCK_SEQPACKET)
		if err != nil {
			t.Fatal(err)
		}
		far.Close()
		if err := client.Relink(another); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
