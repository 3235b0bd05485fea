package spool

import (
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"postrider/internal/durable"
)

// unopenable is a tree whose files cannot be opened for the time being.
type unopenable struct {
	durable.Tree
	err error
}

func (t unopenable) Open(name string) (durable.File, error) {
	return nil, &os.PathError{Op: "open", Path: name, Err: t.err}
}

// TestDropThatCannotBeOpened: whatever the machine answers, a message that
// somebody was promised stays.
func TestDropThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	for _, err := range []syscall.Errno{
		unix.EIO, unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENOSPC, unix.EDQUOT, unix.EROFS, unix.EUCLEAN, unix.EBADMSG, unix.ESTALE,
	} {
		t.Run(err.Error(), func(t *testing.T) {
			t.Parallel()
			q := startQueue(t)
			path := q.leave(1, dropped("Subject: x\n\nbody\n", goodEnvelope, newNonce()))
			b := newDropbox(q.server, nil)
			whole := q.store.tree
			q.store.tree = unopenable{whole, err}
			b.pass()
			if _, err := os.Stat(path); err != nil {
				t.Fatalf("it was removed: %v", err)
			}
			q.store.tree = whole
			q.takeAll(b)
			q.hear(1)
		})
	}
}
