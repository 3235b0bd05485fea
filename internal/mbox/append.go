package mbox

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"postrider/internal/clock"
)

const (
	// lockWait is how long a delivery waits for others (spec section 4.3),
	// lockPoll how often it tries.
	lockWait = 30 * time.Second
	lockPoll = 100 * time.Millisecond

	bufferSize = 64 << 10
)

var (
	// ErrLocked says that others held the lock for lockWait.
	ErrLocked = errors.New("locked for too long")
	// ErrLock says that the lock could not be asked for.
	ErrLock = errors.New("unable to lock")
	// ErrMessage says that the message could not be read.
	ErrMessage = errors.New("unable to read message")
)

// File is an mbox, open for appending. Tests pass one that fails.
type File interface {
	io.Writer
	// ReadAt reads what is there already; it fails where that is not allowed.
	io.ReaderAt
	// TryLock takes the exclusive lock unless another holds it.
	TryLock() (taken bool, err error)
	Size() (int64, error)
	Truncate(size int64) error
	// Sync makes the content durable, SyncName the file's name.
	Sync() error
	SyncName() error
	// Close gives the lock back.
	Close() error
}

// Append adds header, which begins with the From_ line, and message. It
// closes f in any case.
func Append(c clock.Clock, f File, header []byte, message io.Reader) error {
	err := appendLocked(c, f, header, message)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

func appendLocked(c clock.Clock, f File, header []byte, message io.Reader) error {
	if err := lock(c, f); err != nil {
		return err
	}
	end, err := f.Size()
	if err != nil {
		return err
	}
	err = write(f, append(separator(f, end), header...), message)
	if err == nil {
		err = f.Sync()
	}
	if err == nil && end == 0 { // perhaps we have created it
		err = f.SyncName()
	}
	if err != nil {
		return errors.Join(err, f.Truncate(end))
	}
	return nil
}

// separator returns what is missing at the end of the file before a From_
// line: a delivery that was killed has left half a message, and readers would
// take the next one for the rest of it.
func separator(f File, end int64) []byte {
	tail := make([]byte, min(end, 2))
	if n, err := f.ReadAt(tail, end-int64(len(tail))); n < len(tail) || err != nil && err != io.EOF {
		return nil // no file with an end, or one that may only be written
	}
	switch {
	case len(tail) == 0 || bytes.HasSuffix(tail, []byte("\n\n")):
		return nil
	case tail[len(tail)-1] == '\n':
		return []byte("\n")
	}
	return []byte("\n\n")
}

// lock tries until the lock is taken. It does not sleep in flock itself:
// nothing could wake it when the time is over.
func lock(c clock.Clock, f File) error {
	limit := c.Now().Add(lockWait)
	for {
		taken, err := f.TryLock()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrLock, err)
		}
		if taken {
			return nil
		}
		now := c.Now()
		if !now.Before(limit) {
			return ErrLocked
		}
		woken, stop := c.At(now.Add(lockPoll))
		<-woken
		stop()
	}
}

func write(f File, header []byte, message io.Reader) error {
	out := bufio.NewWriterSize(f, bufferSize)
	if _, err := out.Write(header); err != nil {
		return err
	}
	q := newQuoter(out)
	if err := copyMessage(q, message); err != nil {
		return err
	}
	if err := q.finish(); err != nil {
		return err
	}
	if err := out.WriteByte('\n'); err != nil {
		return err
	}
	return out.Flush()
}

func copyMessage(q *quoter, message io.Reader) error {
	buf := make([]byte, bufferSize)
	for {
		n, readErr := message.Read(buf)
		if _, err := q.Write(buf[:n]); err != nil {
			return err
		}
		if readErr == io.EOF {
			return nil
		}
		if readErr != nil {
			return fmt.Errorf("%w: %w", ErrMessage, readErr)
		}
	}
}
