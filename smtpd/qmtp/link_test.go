package qmtp

import (
	"os"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fate"
	"postrider/internal/fdpass"
	"postrider/internal/wire/submit"
)

// Only a spool that ended is waited for: after other trouble, be it ours or that
// of a spool that is there, no new one comes.
func TestTroubleIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		link     func() *os.File
		connects bool
	}{
		{"no connection can be handed over", func() *os.File { return fullLink(t) }, false},
		{"the greeting is none", func() *os.File {
			f := newFakeSpool(t)
			f.greet = func() []byte { return submit.AppendFrame(nil, '?', nil) }
			return f.link()
		}, false},
		{"the answer is none", func() *os.File {
			f := newFakeSpool(t)
			f.answer = func(queuedMessage) submit.Answer { return submit.Answer{Kind: '?'} }
			return f.link()
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newSpool(&budget{})
			if err := p.relink(c.link()); err != nil {
				t.Fatal(err)
			}
			defer p.link.Close()
			begun := time.Now()
			if _, err := commitOne(p); err == nil || fate.ClassOf(err) != fate.Temporary {
				t.Errorf("a short message: %v", err)
			}
			f, err := p.awaited()
			if (err == nil) != c.connects {
				t.Errorf("a connection for a long one: %v", err)
			}
			if err == nil {
				f.Close()
			}
			if waited := time.Since(begun); waited >= linkTime {
				t.Errorf("after %v", waited)
			}
		})
	}
}

// fullLink returns a submit link to a spool that is there and takes nothing.
func fullLink(t *testing.T) *os.File {
	t.Helper()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { theirs.Close() })
	link, err := fdpass.NewPackets(ours)
	if err != nil {
		t.Fatal(err)
	}
	for sent := true; sent; {
		if sent, err = link.TrySend([]byte{submit.ChannelByte}); err != nil {
			t.Fatal(err)
		}
	}
	return ours
}

// A spool that loses a connection, and is there, is tried again at once.
func TestConnectionIsLost(t *testing.T) {
	t.Parallel()
	var connections atomic.Int32
	f := newFakeSpool(t)
	f.greet = func() []byte {
		if connections.Add(1)%2 == 1 {
			return nil // closes without a word
		}
		return submit.AppendFrame(nil, submit.Ready, []byte(submit.Version))
	}
	p := newSpool(&budget{})
	if err := p.relink(f.link()); err != nil {
		t.Fatal(err)
	}
	defer p.link.Close()
	begun := time.Now()
	if _, err := commitOne(p); err != nil {
		t.Errorf("a short message: %v", err)
	}
	if c, err := p.awaited(); err != nil {
		t.Errorf("a connection for a long one: %v", err)
	} else {
		c.Close()
	}
	if waited := time.Since(begun); waited >= linkTime {
		t.Errorf("after %v", waited)
	}
}

// commitOne hands in a short message.
func commitOne(p *spool) (string, error) {
	s := newSpoolSubmission(p, origin{})
	_, err := s.Write([]byte("x\n"))
	if err == nil {
		err = s.Sender("s@x")
	}
	if err == nil {
		err = s.Recipient("a@example.com")
	}
	if err != nil {
		return "", err
	}
	return s.Commit()
}
