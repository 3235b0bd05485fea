package spool

import (
	"errors"
	"os"
	"testing"

	"postrider/internal/wire/submit"
)

// TestAnswerThatCannotBeSent: the client must see that no answer comes, or it
// waits for it, and with it all who share the connection.
func TestAnswerThatCannotBeSent(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	a := newAnswers(r, func(bool) {}) // writing to this end fails
	a.next()(submit.Answer{Kind: submit.Accepted, ID: "1"})
	a.wait()
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the connection of an answer that could not be sent: %v, want it closed", err)
	}
}
