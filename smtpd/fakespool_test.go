package smtpd

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/wire/submit"
)

// patience bounds every wait of a test: it is reached only when one fails.
const patience = 20 * time.Second

// message that a fake spool was given.
type queuedMessage struct {
	text     string
	envelope string // without client
	client   string // the record of it
}

// clientRecord is what every envelope of the daemon has.
var clientRecord = regexp.MustCompile("\x00c([^\x00]*)")

func newQueued(text, envelope string) queuedMessage {
	m := queuedMessage{text: text, envelope: envelope}
	if at := clientRecord.FindStringSubmatchIndex(envelope); at != nil {
		m.client = envelope[at[2]:at[3]]
		m.envelope = envelope[:at[0]] + envelope[at[1]:]
	}
	return m
}

// sender, recipients and body as a test names them; the Received line is cut.
func (m queuedMessage) String() string {
	records := strings.Split(strings.TrimSuffix(m.envelope, "\x00\x00"), "\x00")
	_, body, _ := strings.Cut(m.text, "\n  by ")
	_, body, _ = strings.Cut(body, "\n")
	return strings.Join(records, " ") + " " + strconv.Quote(body)
}

// fakeSpool is the other end of the submit protocol.
type fakeSpool struct {
	t      testing.TB
	answer func(queuedMessage) submit.Answer // nil: accepted
	greet  func() []byte                     // nil: ready
	hangUp bool                              // take messages and never answer

	mu       sync.Mutex
	channels []*fdpass.Packets
	taken    []queuedMessage
	nonces   []string
	aborted  int // connections that ended inside a message
	opened   int // connections
	inside   int // connections that are inside a message
	maxFrame int
	changed  *sync.Cond
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
	f.note(func() { f.channels = append(f.channels, channel) })
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

// leave ends the links to f.
func (f *fakeSpool) leave() {
	f.note(func() {
		for _, channel := range f.channels {
			channel.Close()
		}
	})
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

func (f *fakeSpool) messages() []queuedMessage {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]queuedMessage(nil), f.taken...)
}

func (f *fakeSpool) serve(c *os.File) {
	defer c.Close()
	f.note(func() { f.opened++ })
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
		if err != nil {
			if err != io.EOF {
				f.note(func() { f.aborted++; f.inside-- })
			}
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
		f.inside--
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
		if err != nil {
			if err == io.EOF && !first {
				err = io.ErrUnexpectedEOF
			}
			return queuedMessage{}, err
		}
		if first {
			f.note(func() { f.inside++ })
		}
		f.note(func() { f.maxFrame = max(f.maxFrame, n) })
		var to io.Writer = &text
		switch kind {
		case submit.Envelope:
			to = &envelope
		case submit.Commit:
			nonce := make([]byte, n)
			if _, err := io.ReadFull(in, nonce); err != nil || n != 16 {
				return queuedMessage{}, io.ErrUnexpectedEOF
			}
			f.note(func() { f.nonces = append(f.nonces, string(nonce)) })
			return newQueued(text.String(), envelope.String()), nil
		}
		if _, err := io.CopyN(to, in, int64(n)); err != nil {
			return queuedMessage{}, io.ErrUnexpectedEOF
		}
	}
}

// current returns the link that is used now.
func (p *spool) current() *fdpass.Packets {
	return p.link.Current()
}

// recordedLog keeps the lines.
type recordedLog struct {
	mu    sync.Mutex
	lines []string
	full  bool // no more lines are kept
}

func (l *recordedLog) Line(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.full {
		l.lines = append(l.lines, s)
	}
}

func (l *recordedLog) Status(s string) { l.Line(s) }

func (l *recordedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}
