package qmailsend

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/durable"
	"postrider/internal/queuedir"
)

// recorder writes progress files. Its methods run in the goroutines that wait
// for the disk; one at a time works on a message.
type recorder struct {
	layout queuedir.Layout
	tree   durable.Tree // of info/
	group  *durable.Group
}

func newRecorder(l queuedir.Layout) (recorder, error) {
	tree, err := durable.OpenTree(l.Root + "/info")
	if err != nil {
		return recorder{}, err
	}
	group, err := durable.OpenGroup(l.Root + "/info")
	return recorder{layout: l, tree: tree, group: group}, err
}

// record is one append.
type record struct {
	id      queuedir.ID
	lines   []byte
	tried   []byte // behind lines; need not be durable
	size    int64  // of what is good in the file
	rewrite bool   // an append failed before: what is behind size is unknown
	due     time.Time
}

// write makes r's lines durable at the end of the progress file, and its
// mtime the next attempt. A record without lines needs not survive a power
// cut. The mtime is only a hint: noDue says that it could not be set.
func (w recorder) write(r record) (noDue bool, err error) {
	ticket := w.group.Begin()
	name := w.layout.Info(r.id)
	if r.rewrite {
		name = w.spare(r.id)
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return false, err
	}
	err = w.fill(f, r)
	if err == nil {
		noDue = setDue(f, r.due) != nil
		err = w.sync(ticket, f, r)
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return noDue, err
}

// fill brings the content of f to what is good and r's lines behind it.
func (w recorder) fill(f *os.File, r record) error {
	if r.rewrite {
		return w.rewrite(f, r)
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() < r.size {
		return fmt.Errorf("%s became shorter", f.Name())
	}
	if info.Size() > r.size { // a torn line of an earlier run
		if err := f.Truncate(r.size); err != nil {
			return err
		}
	}
	return r.append(f)
}

// append writes r's lines where they belong.
func (r record) append(f *os.File) error {
	if len(r.lines)+len(r.tried) == 0 {
		return nil
	}
	_, err := f.WriteAt(append(r.lines[:len(r.lines):len(r.lines)], r.tried...), r.size)
	return err
}

// rewrite makes f, a new file, the good part of the progress file and r's
// lines: after a failed sync nobody knows which of its pages are on disk.
func (w recorder) rewrite(f *os.File, r record) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	if r.size > 0 {
		if err := w.copyGood(f, r); err != nil {
			return err
		}
	}
	return r.append(f)
}

func (w recorder) copyGood(f *os.File, r record) error {
	old, err := queuedir.OpenFile(w.layout.Info(r.id))
	if err != nil {
		return err
	}
	defer old.Close() // only read from
	good, err := queuedir.ReadRecords(io.TeeReader(io.LimitReader(old, r.size), f),
		func(queuedir.Record, int64) error { return nil })
	if err == nil && good != r.size {
		err = fmt.Errorf("%s is not what was written to it", old.Name())
	}
	return err
}

// sync waits until what was written is durable, with its name.
func (w recorder) sync(ticket durable.Ticket, f *os.File, r record) error {
	if len(r.lines) == 0 && !r.rewrite {
		return nil
	}
	dir := durable.Directory{Tree: w.tree, Name: r.id.Bucket()}
	if !r.rewrite {
		return w.group.Wait(ticket, []durable.Syncer{f}, dir)
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), w.layout.Info(r.id)); err != nil {
		return err
	}
	return w.group.Wait(w.group.Begin(), nil, dir)
}

// spare is the name under which a progress file is written anew.
func (w recorder) spare(id queuedir.ID) string {
	return w.layout.InfoDir(id.Bucket()) + "/" + sparePrefix + id.String()
}

const (
	sparePrefix = "."
	asideSuffix = ".bad"
)

// setDue makes due the time of the next attempt.
func setDue(f *os.File, due time.Time) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, unix.NsecToTimespec(due.UnixNano())}
	var timeErr error
	err = raw.Control(func(fd uintptr) {
		timeErr = unix.UtimesNanoAt(int(fd), "", times, unix.AT_EMPTY_PATH)
	})
	if err == nil {
		err = timeErr
	}
	return err
}

// touch sets the time of the next attempt of a message that has a progress
// file.
func (w recorder) touch(id queuedir.ID, due time.Time) error {
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, unix.NsecToTimespec(due.UnixNano())}
	return unix.UtimesNanoAt(unix.AT_FDCWD, w.layout.Info(id), times, unix.AT_SYMLINK_NOFOLLOW)
}

// unlink removes the progress file of a message that is gone.
func (w recorder) unlink(id queuedir.ID) error { return unlink(w.layout.Info(id)) }

// unlinkAll removes also what a crash left of one that was written anew.
func (w recorder) unlinkAll(id queuedir.ID) error {
	return errors.Join(w.unlink(id), unlink(w.spare(id)))
}

func unlink(name string) error {
	err := os.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// keep moves the progress file of a message that is set aside out of the way of
// scans: it is the evidence of who has the message.
func (w recorder) keep(id queuedir.ID) error {
	name := w.layout.Info(id)
	err := os.Rename(name, name+asideSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (s *scheduler) keepProgress(id queuedir.ID) {
	s.atWork++
	s.recorders.Put(func() {
		err := s.store.keep(id)
		s.post(func() {
			s.atWork--
			if err != nil {
				s.trouble(err, "warning: unable to rename %s", s.infoName(id))
			}
		})
	})
}

// write has a's results written to its progress file.
func (s *scheduler) write(a *active) {
	u := a.progress
	a.progress = unwritten{}
	u.encode()
	u.mend(a.size - a.synced)
	due := s.now()
	if !a.inHand() {
		due = a.m.resumeAt(due)
		if due == never {
			due = s.now()
		}
	}
	final := !a.inHand()
	a.writing = true
	a.m.flags |= hasInfo
	r := record{
		id: a.m.id, lines: u.lines, tried: u.tried.lines, size: a.size, rewrite: a.rewrite, due: s.line.ToWall(due, s.clock.Now()),
	}
	s.atWork++
	s.recorders.Put(func() {
		noDue, err := s.store.write(r)
		s.post(func() { s.written(a, u, final, noDue, err) })
	})
}

// written takes the result of write.
func (s *scheduler) written(a *active, u unwritten, final, noDue bool, err error) {
	s.atWork--
	a.writing = false
	if err != nil {
		s.writeFailed(a, u, err)
		return
	}
	a.rewrite = false
	if u.covered > 0 {
		a.owed, a.bounced = 0, a.size+int64(u.covered)
	}
	a.owed += u.failures
	if a.size += int64(len(u.lines)); len(u.lines) > 0 {
		a.synced = a.size
	}
	a.size += int64(len(u.tried.lines))
	s.orderWritten(a, u.orders, nil)
	if final {
		a.noted = true
		a.m.flags &^= stale
		if noDue {
			s.logf("warning: unable to utime %s; message will be retried too soon", s.infoName(a.m.id))
		}
	}
	s.settle(a)
}

// writeFailed keeps the results in memory; nothing new starts for the message
// until they could be written.
func (s *scheduler) writeFailed(a *active, u unwritten, err error) {
	s.trouble(err, "warning: trouble writing to %s; will try again later", s.infoName(a.m.id))
	s.orderWritten(a, u.orders, err)
	u.orders = nil
	if u.count == 0 { // nothing is lost but the time of the next attempt, and why
		a.noted = true
		s.settle(a)
		return
	}
	if s.exiting && !a.inHand() {
		s.logf("warning: trouble marking %s; message will be delivered twice!", s.infoName(a.m.id))
		s.release(a)
		return
	}
	u.add(a.progress)
	s.orderWritten(a, u.orders, err) // they came meanwhile
	u.orders = nil
	a.progress = u
	a.rewrite = true
	a.stuck = true
	a.stuckUntil = s.now().Add(queueTrouble)
	s.stuck = append(s.stuck, a)
	if len(s.stuck) == maxStuck {
		s.logf("alert: results of %d messages cannot be written to info; nothing new starts until they can: is the disk full?", maxStuck)
	}
	s.putOff(a.m, err)
	s.settle(a)
}

// writeStuck has results that could not be written tried again before their
// time.
func (s *scheduler) writeStuck(a *active) {
	if a.stuck {
		s.unstick(a)
		s.write(a)
	}
}

// unstick takes a out of those whose results could not be written.
func (s *scheduler) unstick(a *active) {
	a.stuck = false
	s.stuck = slices.DeleteFunc(s.stuck, func(other *active) bool { return other == a })
}
