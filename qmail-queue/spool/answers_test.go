package spool

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/wire/submit"
)

// TestAnswerThatCannotBeSent: what the client had sent is still read.
func TestAnswerThatCannotBeSent(t *testing.T) {
	t.Parallel()
	server, client := pair(t)
	if _, err := client.WriteString("next"); err != nil {
		t.Fatal(err)
	}
	client.Close() // writing to the other end fails
	a := newAnswers(server, func(bool) {}, func() {})
	a.next()(submit.Answer{Kind: submit.Accepted, ID: "1"})
	a.wait()
	if got, err := io.ReadAll(server); err != nil || string(got) != "next" {
		t.Errorf("of what the client sent, %q was read: %v", got, err)
	}
}

// TestEndOfAnswers: the client must see that no answer comes, or it waits for
// it, and with it all who share the connection.
func TestEndOfAnswers(t *testing.T) {
	t.Parallel()
	server, client := pair(t)
	newAnswers(server, func(bool) {}, func() {}).end()
	if err := client.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if n, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the client reads %d bytes, %v, want the end", n, err)
	}
	if _, err := client.WriteString("next"); err != nil {
		t.Errorf("the client can send no more: %v", err)
	}
}

func pair(t *testing.T) (server, client *os.File) {
	t.Helper()
	server, client, err := fdpass.Pair(unix.SOCK_STREAM)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close(); client.Close() })
	return server, client
}

// TestAnswerIntoPipe: of what has no half to close, all is closed.
func TestAnswerIntoPipe(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	lost := false
	a := newAnswers(r, func(bool) {}, func() { lost = true }) // writing to this end fails
	a.next()(submit.Answer{Kind: submit.Accepted, ID: "1"})
	a.wait()
	if !lost {
		t.Error("nobody was told that the answer is lost")
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the connection of an answer that could not be sent: %v, want it closed", err)
	}
}
