package smtpd

import (
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/wire/submit"
)

// The spool dies when it has a message and before it answers: the next one is
// given the same message with the same nonce, and its answer is the client's.
func TestAnswerIsLost(t *testing.T) {
	t.Parallel()
	h := startHost(t, nil)
	dying := h.spool
	dying.note(func() { dying.hangUp = true })
	c := h.dial()
	c.play(transaction + "C: DATA\nS: 354 go ahead\n")
	c.send("x\r\n.\r\n")
	dying.await("the message", func() bool { return len(dying.taken) > 0 })
	h.spool = newFakeSpool(t)
	h.relink()
	c.play("S: 250 *" + bye)
	next := h.spool.messages()
	if len(next) != 1 || next[0] != dying.messages()[0] || h.spool.nonces[0] != dying.nonces[0] {
		t.Errorf("got %v with %q, want %v with %q", next, h.spool.nonces, dying.messages(), dying.nonces)
	}
}

// A long message is not kept, so that its outcome stays unknown: the client
// comes again.
func TestAnswerToALongMessageIsLost(t *testing.T) {
	t.Parallel()
	h := startHost(t, nil)
	h.spool.note(func() { h.spool.hangUp = true })
	c := h.dial()
	c.play(transaction + "C: DATA\nS: 354 go ahead\n")
	c.send(strings.Repeat(strings.Repeat("x", 70)+"\r\n", 2000) + ".\r\n")
	c.play("S: 451 4.3.0 *")
}

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
			p := newSpool()
			if err := p.relink(c.link()); err != nil {
				t.Fatal(err)
			}
			defer p.link.Close()
			begun := time.Now()
			if _, err := p.commitShort([]byte("x\n"), []byte(testEnvelope)); queueReply(err).code != 451 {
				t.Errorf("a short message: %v", err)
			}
			f, err := p.connect()
			if (err == nil) != c.connects {
				t.Errorf("a connection for a long one: %v", err)
			}
			if err == nil {
				f.file.Close()
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
	p := newSpool()
	if err := p.relink(f.link()); err != nil {
		t.Fatal(err)
	}
	defer p.link.Close()
	begun := time.Now()
	if _, err := p.commitShort([]byte("x\n"), []byte(testEnvelope)); err != nil {
		t.Errorf("a short message: %v", err)
	}
	if c, err := p.connect(); err != nil {
		t.Errorf("a connection for a long one: %v", err)
	} else {
		c.file.Close()
	}
	if waited := time.Since(begun); waited >= linkTime {
		t.Errorf("after %v", waited)
	}
}

// Who has something to hand in while the spool is being replaced waits for it.
func TestSpoolIsReplaced(t *testing.T) {
	t.Parallel()
	h := startHost(t, nil)
	short, long := h.dial(), h.dial()
	short.play(transaction)
	long.play(transaction)
	h.d.spool.mu.Lock()
	h.d.spool.link.Close()
	h.d.spool.link = nil
	h.d.spool.mu.Unlock()
	h.d.spool.absence.Begin()
	short.send("DATA\r\n")
	long.send("DATA\r\n")
	h.relink()
	short.play("S: 354 go ahead\nR: x\\r\\n.\\r\\n\nS: 250 *\n")
	long.play("S: 354 go ahead\n")
	long.send(strings.Repeat(strings.Repeat("x", 70)+"\r\n", 2000) + ".\r\n")
	long.play("S: 250 *\n")
}

// When the spool was away for long, messages are refused at DATA and not after
// the client has sent them; with the next link they are taken again.
func TestSpoolIsGone(t *testing.T) {
	t.Parallel()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	p := newSpool()
	p.absence.Limit = 0
	if err := p.relink(ours); err != nil {
		t.Fatal(err)
	}
	if _, err := p.connect(); !errors.Is(err, errNoSpool) {
		t.Errorf("connect to nobody: got %v", err)
	}
	if _, err := p.begin(origin{}); !errors.Is(err, errNoSpool) {
		t.Errorf("DATA without a spool: got %v", err)
	}
	if err := p.relink(newFakeSpool(t).link()); err != nil {
		t.Fatal(err)
	}
	defer p.link.Close()
	if _, err := p.begin(origin{}); err != nil {
		t.Errorf("DATA with a new link: %v", err)
	}
}
