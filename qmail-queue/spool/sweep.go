package spool

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"postrider/internal/durable"
	"postrider/internal/queuedir"
)

const (
	// staleAge is when a file that nobody finished is removed. It is above
	// what a submitter has, connectionLife (R14).
	staleAge = 36 * time.Hour
	// unackedAge is how long torn entries stay in bad/unacked.
	unackedAge = 7 * 24 * time.Hour
)

// clearTmp removes what a former process was receiving. The lock on the queue
// proves that nobody is writing. What somebody else has put there may stay.
func (s *Store) clearTmp() error {
	return s.each(layout.Tmp(), func(name string) error {
		err := s.unlink(name)
		if errors.Is(err, syscall.EISDIR) {
			s.log("warning: " + name + " is a directory, which nobody of ours has made; it stays")
			return nil
		}
		if err == nil && name != layout.Answered() {
			s.left.received++
		}
		return err
	})
}

// each calls visit for each file of a directory and returns the first error;
// one file's trouble does not stop the others.
func (s *Store) each(dir string, visit func(name string) error) error {
	d, err := s.tree.Dir(dir)
	if err != nil {
		return err
	}
	defer d.Close() // only read from
	var visitErr error
	err = d.Names(func(name string) bool {
		if err := visit(dir + "/" + name); err != nil && visitErr == nil {
			visitErr = err
		}
		return true
	})
	if err == nil {
		err = visitErr
	}
	return err
}

// sweep removes what nobody will finish: stale files in tmp/, bodies without
// entry, and expired torn entries.
func (s *Store) sweep() {
	s.retryDoomed()
	trouble := s.each(layout.Tmp(), func(name string) error {
		if id, ok := idOf(name); ok && s.isInflight(id) {
			return nil
		}
		return s.expire(name, staleAge, modified)
	})
	trouble = errors.Join(trouble, s.each(layout.BadUnacked(), func(name string) error {
		return s.expire(name, unackedAge, changed)
	}))
	entries := int64(0)
	for i := range queuedir.Buckets {
		dir := layout.NewDir(queuedir.BucketName(i))
		err := s.each(dir, func(name string) error {
			if !strings.HasSuffix(name, queuedir.BodySuffix) {
				entries++
			}
			s.left.name(name)
			return s.sweepBody(name)
		})
		if isOf(err, dir) {
			s.log("alert: " + err.Error() + "; no mail can be queued there: " + queuedir.DirAdvice)
			continue
		}
		trouble = errors.Join(trouble, err)
	}
	s.entries.Store(entries)
	if trouble != nil {
		s.log("warning: sweep of the queue: " + firstLine(trouble))
	}
}

// isOf reports whether an error is that of a directory, and not of a file in it.
func isOf(err error, dir string) bool {
	var of *fs.PathError
	return errors.As(err, &of) && of.Path == dir
}

// firstLine keeps one of the errors of several directories.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

func modified(i durable.Info) time.Time { return i.ModTime }
func changed(i durable.Info) time.Time  { return i.ChangeTime }

func (s *Store) expire(name string, age time.Duration, since func(durable.Info) time.Time) error {
	info, err := s.tree.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.Regular || s.clock.Now().Sub(since(info)) < age {
		return nil
	}
	s.log("removing " + name + ", left behind")
	return s.unlink(name)
}

// idOf returns the message number that a file's name begins with.
func idOf(name string) (queuedir.ID, bool) {
	base := name[strings.LastIndexByte(name, '/')+1:]
	id, err := queuedir.ParseID(strings.TrimSuffix(base, queuedir.BodySuffix))
	return id, err == nil
}

// sweepBody removes a body whose entry does not exist: a crash came between
// its rename and that of the entry, or between the unlinks of a removal.
func (s *Store) sweepBody(name string) error {
	if !strings.HasSuffix(name, queuedir.BodySuffix) {
		return nil
	}
	id, ok := idOf(name)
	if !ok || s.isInflight(id) {
		return nil
	}
	s.moving.Lock()
	defer s.moving.Unlock()
	if _, err := s.tree.Stat(layout.Staged(id)); err == nil {
		return nil // its entry is about to come
	}
	_, err := s.tree.Stat(layout.Entry(id))
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if s.isInflight(id) {
		return nil // began and may have ended in between: next time
	}
	s.left.bodies++
	return s.unlink(name)
}
