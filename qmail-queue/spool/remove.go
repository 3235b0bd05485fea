package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"postrider/internal/durable"
	"postrider/internal/queuedir"
)

// retryPause is how long a removal waits after an error.
const retryPause = 5 * time.Second

// remove takes an entry out of the queue for good and calls done once that is
// durable; it tries until it is. The body goes after that, and without a sync:
// a body without entry is swept, an entry without body would be damaged.
func (s *Store) remove(id queuedir.ID, done func()) {
	hasBody := false
	finish := func() {
		if !hasBody {
			done()
			return
		}
		go func() { // freeing a large file takes its time
			if err := s.unlink(layout.Body(id)); err != nil {
				s.log("warning: cannot remove a body, the sweep will: " + err.Error())
			}
			done()
		}()
	}
	s.whenDone(id, finish, func() error {
		err := s.tree.Unlink(layout.Entry(id))
		if err == nil {
			s.entries.Add(-1)
		}
		if errors.Is(err, fs.ErrNotExist) { // gone before
			err = nil
		}
		if err == nil {
			_, bodyErr := s.tree.Stat(layout.Body(id))
			hasBody = bodyErr == nil
		}
		return err
	}, s.newDir(id))
}

// whenDone does change, makes it durable with the next sync that comes along,
// and calls done; after an error it does all of it again.
func (s *Store) whenDone(id queuedir.ID, done func(), change func() error, dirs ...durable.Directory) {
	ticket := s.group.Begin()
	finish := func(err error) {
		if err == nil {
			done()
			return
		}
		s.log("warning: cannot take " + id.String() + " out of the queue, will try again: " + err.Error())
		time.AfterFunc(retryPause, func() { s.whenDone(id, done, change, dirs...) })
	}
	if s.isInflight(id) {
		// Never announced and never "committed": the peer guesses.
		finish(errors.New("it was not committed yet"))
		return
	}
	if err := change(); err != nil {
		finish(err)
		return
	}
	s.group.Ride(ticket, removalDelay, finish, dirs...)
}

// maxCopies bounds the entries of one number in bad/.
const maxCopies = 100

// quarantine moves an entry that cannot be read out of the way. A torn one was
// never acknowledged, unless this process wrote it; such expire, all others
// stay for the administrator.
func (s *Store) quarantine(id queuedir.ID, torn bool, done func()) {
	dir := layout.Bad()
	if torn && id.Time().Before(s.begun) {
		dir = layout.BadUnacked()
	}
	s.log("alert: " + id.String() + " cannot be read, moved into " + dir)
	to := dir + "/" + id.String()
	for n := 1; n < maxCopies; n++ { // of a message that was put back from there
		if _, err := s.tree.Stat(to); err != nil {
			break
		}
		to = fmt.Sprintf("%s/%s.%d", dir, id, n)
	}
	s.whenDone(id, done, func() error {
		s.moving.Lock()
		defer s.moving.Unlock()
		if err := s.move(layout.Entry(id), to); err != nil {
			return err
		}
		if info, err := s.tree.Stat(layout.Body(id)); err == nil && !info.Regular {
			return nil // it has no bytes of the message
		}
		return s.move(layout.Body(id), to+queuedir.BodySuffix)
	}, s.dir(layout.Bad()), s.dir(layout.BadUnacked()), s.newDir(id))
}

// move renames; what is gone needs no move.
func (s *Store) move(from, to string) error {
	err := s.tree.Rename(from, to)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
