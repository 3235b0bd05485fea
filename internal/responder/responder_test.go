package responder

import (
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/clock"
	"postrider/internal/fdpass"
	"postrider/internal/wire/call"
	"postrider/internal/wire/parent"
)

// TestLog: what goes wrong is said once a minute, by whom.
func TestLog(t *testing.T) {
	t.Parallel()
	var lines []string
	d := New("qmail-x", clock.Real(), func(line string) { lines = append(lines, line) })
	d.Say("alert: nobody can log in")
	for range 3 {
		d.Warn(errors.New("no disk"))
	}
	if want := []string{"qmail-x: alert: nobody can log in", "qmail-x: warning: no disk"}; !slices.Equal(lines, want) {
		t.Errorf("got %q, want %q", lines, want)
	}
}

// TestStray: what is for others is closed, and told if it was a file.
func TestStray(t *testing.T) {
	t.Parallel()
	var lines []string
	d := New("qmail-x", clock.Real(), func(line string) { lines = append(lines, line) })
	d.Stray(parent.Frame{Kind: parent.Go})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	d.Stray(parent.Frame{Kind: parent.Link, Name: "other", File: r})
	if want := []string{"qmail-x: warning: control channel hands over other, which is not for qmail-x"}; !slices.Equal(lines, want) {
		t.Errorf("got %q, want %q", lines, want)
	}
	if _, err := r.Read(nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("it is open: %v", err)
	}
}

// TestRespond: questions are answered, and a link that ends is no trouble; one
// whose peer breaks the protocol is.
func TestRespond(t *testing.T) {
	t.Parallel()
	lines := make(chan string, 10)
	d := New("qmail-x", clock.Real(), func(line string) { lines <- line })
	serve := func() (peer *os.File, ended chan struct{}) {
		ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
		if err != nil {
			t.Fatal(err)
		}
		ended = make(chan struct{})
		go func() {
			d.Respond(theirs, "qmail-y", 2, func(question []byte) []byte { return append([]byte("re: "), question...) })
			close(ended)
		}()
		return ours, ended
	}
	peer, ended := serve()
	c := call.NewClient("qmail-x")
	if err := c.Relink(peer); err != nil {
		t.Fatal(err)
	}
	if answer, err := c.Ask([]byte("who"), time.Minute); string(answer) != "re: who" || err != nil {
		t.Errorf("%q, %v", answer, err)
	}
	other, _, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Relink(other); err != nil { // the first link ends
		t.Fatal(err)
	}
	<-ended
	peer, ended = serve()
	defer peer.Close()
	if _, err := peer.Write([]byte("x")); err != nil { // no question
		t.Fatal(err)
	}
	<-ended
	if line := <-lines; len(lines) != 0 || len(line) < len("qmail-x: warning: link to qmail-y: ") {
		t.Errorf("%q, and %d more", line, len(lines))
	}
}
