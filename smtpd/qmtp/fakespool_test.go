package qmtp

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/wire/submit"
)

// queuedMessage is one that a fake spool was given.
type queuedMessage struct{ text, envelope string }

// sender, recipients and body as a test names them; the Received line is cut.
func (m queuedMessage) String() string {
	records := strings.Split(strings.TrimSuffix(m.envelope, "\x00\x00"), "\x00")
	records = slices.DeleteFunc(records, func(r string) bool { return r == fromTestClient })
	_, body, _ := strings.Cut(m.text, "\n  by ")
	_, body, _ = strings.Cut(body, "\n")
	return strings.Join(records, " ") + " " + strconv.Quote(body)
}

// fromTestClient is the record of where the clients of tests are.
const fromTestClient = "c127.0.0.1"

// fakeSpool is the other end of the submit protocol.
type fakeSpool struct {
	t      testing.TB
	answer func(queuedMessage) submit.Answer // nil: accepted
	hangUp bool                              // take messages and never answer
	greet  func() []byte                     // nil: ready; nothing: closes without a word
	// forgets says that text is dropped: there is much.
	forgets bool

	mu      sync.Mutex
	taken   []queuedMessage
	nonces  []string
	aborted int   // connections that ended inside a message
	octets  int64 // of text, so far
	changed *sync.Cond
}

func newFakeSpool(t testing.TB) *fakeSpool {
	f := &fakeSpool{t: t}
	f.changed = sync.NewCond(&f.mu)
	return f
}

// link returns the submitter's end of a submit link to f.
func (f *fakeSpool) link() *os.File {
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		f.t.Fatal(err)
	}
	channel, err := fdpass.NewPackets(theirs)
	if err != nil {
		f.t.Fatal(err)
	}
	go func() {
		defer channel.Close()
		for {
			c, err := submit.ReceiveConnection(channel)
			if err != nil {
				return
			}
			go f.serve(c)
		}
	}()
	return ours
}

func (f *fakeSpool) note(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
	f.changed.Broadcast()
}

// await waits until ok, called with the lock held, is true.
func (f *fakeSpool) await(what string, ok func() bool) {
	f.t.Helper()
	deadline := time.AfterFunc(patience, func() { f.note(func() {}) })
	defer deadline.Stop()
	start := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	for !ok() {
		if time.Since(start) > patience {
			f.t.Fatalf("the spool never saw: %s", what)
		}
		f.changed.Wait()
	}
}

func (f *fakeSpool) messages() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, m := range f.taken {
		all = append(all, m.String())
	}
	return all
}

func (f *fakeSpool) serve(c *os.File) {
	defer c.Close()
	greeting := submit.AppendFrame(nil, submit.Ready, []byte(submit.Version))
	f.note(func() {
		if f.greet != nil {
			greeting = f.greet()
		}
	})
	if _, err := c.Write(greeting); err != nil || len(greeting) == 0 {
		return
	}
	in := bufio.NewReaderSize(c, 128<<10)
	for {
		m, err := f.receive(in)
		if err == io.EOF {
			return
		}
		if err != nil {
			f.note(func() { f.aborted++ })
			return
		}
		if f.respond(c, m) != nil {
			return
		}
	}
}

func (f *fakeSpool) respond(c *os.File, m queuedMessage) error {
	a := submit.Answer{Kind: submit.Accepted}
	silent := false
	f.note(func() {
		silent = f.hangUp
		if f.answer != nil {
			a = f.answer(m)
		}
		if a.Kind == submit.Accepted {
			f.taken = append(f.taken, m)
			a.ID = fmt.Sprintf("1795000000%010d", len(f.taken))
		}
	})
	if silent {
		return io.EOF
	}
	_, err := c.Write(submit.AppendAnswer(nil, a))
	return err
}

func (f *fakeSpool) receive(in *bufio.Reader) (queuedMessage, error) {
	var text, envelope strings.Builder
	for first := true; ; first = false {
		kind, n, err := submit.ReadHeader(in)
		if err == io.EOF && !first {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return queuedMessage{}, err
		}
		var to io.Writer = &text
		switch kind {
		case submit.Message:
			f.note(func() { f.octets += int64(n) })
		case submit.Envelope:
			to = &envelope
		case submit.Commit:
			nonce := make([]byte, n)
			if _, err := io.ReadFull(in, nonce); err != nil || n != 16 {
				return queuedMessage{}, io.ErrUnexpectedEOF
			}
			f.note(func() { f.nonces = append(f.nonces, string(nonce)) })
			return queuedMessage{text.String(), envelope.String()}, nil
		}
		if f.forgets && kind == submit.Message {
			to = io.Discard
		}
		if _, err := io.CopyN(to, in, int64(n)); err != nil {
			return queuedMessage{}, io.ErrUnexpectedEOF
		}
	}
}
