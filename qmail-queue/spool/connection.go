package spool

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/queuedir"
	"postrider/internal/wire/submit"
)

const (
	firstFrameWait = 10 * time.Second // of a stranger's connection
	connectionLife = 24 * time.Hour   // and of one message; below the sweep's age
	readBuffer     = 16 << 10
	pieceSize      = 64 << 10 // of a large message, read past the buffer
)

var (
	readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, readBuffer) }}
	pieces  = sync.Pool{New: func() any { return new([pieceSize]byte) }}
)

// connection is one submitter. It reads message after message, also while
// those before are being committed; between them it holds no buffer.
type connection struct {
	server  *server
	f       *os.File
	from    origin
	public  bool
	opened  time.Time
	answers *answers

	in      *bufio.Reader
	draft   *draft
	failure error // why the message that is being read is refused
	begun   bool  // a frame of the message was seen
	// since is when that was, in nanoseconds since 1970; 0: not.
	since   atomic.Int64
	sealed  bool  // its envelope was begun: no more of the message may come
	useless int64 // bytes that were read after its refusal
}

// serve talks to the submitter until one of us leaves, and then until all that
// was to be committed is answered.
func (c *connection) serve() error {
	c.answers = newAnswers(c.f, func(all bool) { c.server.rest(c, all) }, c.server.loseAnswer)
	defer c.answers.wait()
	defer c.reset()
	defer c.dropBuffer()
	if err := c.answers.send(submit.AppendFrame(nil, submit.Ready, []byte(submit.Version))); err != nil {
		return err
	}
	for {
		if err := c.await(); err != nil {
			return c.clean(err)
		}
		kind, n, err := submit.ReadHeader(c.in)
		if err != nil {
			return c.clean(err)
		}
		if err := c.frame(kind, n); err != nil {
			return err
		}
		if !c.begun && c.server.isDraining() {
			return nil
		}
	}
}

// clean makes nothing of a submitter that leaves between frames, nor of our
// own leaving.
func (c *connection) clean(err error) error {
	if err == io.EOF || errors.Is(err, unix.ECONNRESET) || c.server.isDraining() {
		return nil
	}
	return err
}

// await waits for the next frame. A stranger's connection holds no buffer
// meanwhile, and none is taken for one that says nothing.
func (c *connection) await() error {
	if c.in != nil && (c.begun || c.in.Buffered() > 0) {
		return nil
	}
	if err := c.f.SetReadDeadline(c.deadline()); err != nil {
		return err
	}
	c.answers.idle(true)
	defer c.answers.idle(false)
	if c.public {
		c.dropBuffer()
		if err := awaitReadable(c.f); err != nil {
			return err
		}
	}
	if c.in == nil {
		c.in = readers.Get().(*bufio.Reader)
		c.in.Reset(c.f)
	}
	if _, err := c.in.Peek(1); err != nil {
		return err
	}
	return c.f.SetReadDeadline(c.messageDeadline())
}

// deadline is until when the next message may begin.
func (c *connection) deadline() time.Time {
	if !c.public {
		return time.Time{}
	}
	return time.Now().Add(firstFrameWait)
}

// messageDeadline is until when the message that begins must be complete.
func (c *connection) messageDeadline() time.Time {
	if c.public {
		return c.opened.Add(connectionLife)
	}
	return time.Now().Add(connectionLife)
}

// awaitReadable returns when there is something to read, or the end.
func awaitReadable(f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var peek [1]byte
	var recvErr error
	err = raw.Read(func(fd uintptr) bool {
		// What is there already wakes nobody: only EAGAIN may wait.
		for recvErr = unix.EINTR; recvErr == unix.EINTR; {
			_, _, recvErr = unix.Recvfrom(int(fd), peek[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		}
		return recvErr != unix.EAGAIN
	})
	if err == nil {
		err = recvErr
	}
	return err
}

func (c *connection) dropBuffer() {
	if c.in != nil {
		c.in.Reset(nil)
		readers.Put(c.in)
		c.in = nil
	}
}

func (c *connection) frame(kind byte, n int) error {
	switch {
	case kind == submit.Message && !c.sealed:
		return c.payload(n, func(p []byte) error { return c.draft.writeText(p) })
	case kind == submit.Envelope:
		c.sealed = true
		return c.payload(n, func(p []byte) error { return c.draft.writeEnvelope(p) })
	case kind == submit.Commit && n == len(queuedir.Nonce{}):
		var nonce queuedir.Nonce
		if _, err := io.ReadFull(c.in, nonce[:]); err != nil {
			return err
		}
		return c.commit(nonce)
	}
	return fmt.Errorf("submit protocol: frame %q of %d bytes out of place", kind, n)
}

// payload gives n bytes to take piece by piece, or drops them once the message
// is refused.
func (c *connection) payload(n int, take func([]byte) error) error {
	c.begin()
	for n > 0 {
		if n >= readBuffer && c.in.Buffered() == 0 {
			got, err := c.piece(n, take)
			if err != nil {
				return err
			}
			n -= got
			continue
		}
		if _, err := c.in.Peek(1); err != nil {
			return err
		}
		p, err := c.in.Peek(min(n, c.in.Buffered()))
		if err != nil {
			return err
		}
		if err := c.handle(p, take); err != nil {
			return err
		}
		if _, err := c.in.Discard(len(p)); err != nil {
			return err
		}
		n -= len(p)
	}
	return nil
}

// piece is payload for a large piece that is yet to be read: it goes to the
// file in as few system calls as may be.
func (c *connection) piece(n int, take func([]byte) error) (int, error) {
	buf := pieces.Get().(*[pieceSize]byte)
	defer pieces.Put(buf)
	got, err := io.ReadFull(c.in, buf[:min(n, pieceSize)])
	if err != nil {
		return 0, err
	}
	return got, c.handle(buf[:got], take)
}

// handle gives a piece to take, if the submitter may have that much, and counts
// it once the message is refused. Who goes on then for long is dropped.
func (c *connection) handle(p []byte, take func([]byte) error) error {
	if c.failure == nil {
		var err error
		if c.public {
			err = c.server.shares.take(c.from.uid, len(p))
		}
		if err == nil {
			err = take(p)
		}
		if err == nil {
			return nil
		}
		c.refuse(err)
	}
	if c.useless += int64(len(p)); c.useless > uselessBytes {
		return fmt.Errorf("a refused message goes on: %w", c.failure)
	}
	return nil
}

// begin starts a message with its first frame.
func (c *connection) begin() {
	if c.begun {
		return
	}
	c.begun = true
	c.since.Store(time.Now().UnixNano())
	if !c.from.makesRoom && c.server.pressure.full() {
		c.failure = errFull
		return
	}
	d, err := c.server.store.begin(c.from)
	if err != nil {
		c.failure = err
		return
	}
	c.draft = d
}

// refuse gives up the message; the rest of it is read and dropped.
func (c *connection) refuse(err error) {
	c.failure = err
	c.draft.abort()
	c.draft = nil
}

// reset ends a message, whatever became of it.
func (c *connection) reset() {
	if c.draft != nil {
		c.draft.abort()
	}
	c.since.Store(0)
	c.draft, c.failure, c.begun, c.sealed, c.useless = nil, nil, false, false, 0
}

func (c *connection) commit(nonce queuedir.Nonce) error {
	c.begin()
	d, failure := c.draft, c.failure
	c.draft = nil
	c.reset()
	answer := c.answers.next()
	if failure != nil {
		answer(c.server.refused(failure))
		return nil
	}
	c.server.commit(d, nonce, answer)
	return nil
}
