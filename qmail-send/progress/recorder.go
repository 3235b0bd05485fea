package progress

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/durable"
	"postrider/internal/queuedir"
)

// Recorder writes progress files. Its methods run in the goroutines that wait
// for the disk; one at a time works on a message.
type Recorder struct {
	layout queuedir.Layout
	tree   durable.Tree // of info/
	group  *durable.Group
}

// OpenRecorder returns one for the queue at l.
func OpenRecorder(l queuedir.Layout) (Recorder, error) {
	tree, err := durable.OpenTree(l.Root + "/info")
	if err != nil {
		return Recorder{}, err
	}
	group, err := durable.OpenGroup(l.Root + "/info")
	return Recorder{layout: l, tree: tree, group: group}, err
}

// Record is one append.
type Record struct {
	ID      queuedir.ID
	Lines   []byte
	Tried   []byte // behind lines; need not be durable
	Size    int64  // of what is good in the file
	Rewrite bool   // an append failed before: what is behind size is unknown
	Due     time.Time
}

// Write makes r's lines durable at the end of the progress file, and its
// mtime the next attempt. A record without lines needs not survive a power
// cut. The mtime is only a hint: noDue says that it could not be set.
func (w Recorder) Write(r Record) (noDue bool, err error) {
	ticket := w.group.Begin()
	name := w.layout.Info(r.ID)
	if r.Rewrite {
		name = w.spare(r.ID)
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return false, err
	}
	err = w.fill(f, r)
	if err == nil {
		noDue = setDue(f, r.Due) != nil
		err = w.sync(ticket, f, r)
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return noDue, err
}

// fill brings the content of f to what is good and r's lines behind it.
func (w Recorder) fill(f *os.File, r Record) error {
	if r.Rewrite {
		return w.rewrite(f, r)
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() < r.Size {
		return fmt.Errorf("%s became shorter", f.Name())
	}
	if info.Size() > r.Size { // a torn line of an earlier run
		if err := f.Truncate(r.Size); err != nil {
			return err
		}
	}
	return r.append(f)
}

// append writes r's lines where they belong.
func (r Record) append(f *os.File) error {
	if len(r.Lines)+len(r.Tried) == 0 {
		return nil
	}
	_, err := f.WriteAt(append(r.Lines[:len(r.Lines):len(r.Lines)], r.Tried...), r.Size)
	return err
}

// rewrite makes f, a new file, the good part of the progress file and r's
// lines: after a failed sync nobody knows which of its pages are on disk.
func (w Recorder) rewrite(f *os.File, r Record) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	if r.Size > 0 {
		if err := w.copyGood(f, r); err != nil {
			return err
		}
	}
	return r.append(f)
}

func (w Recorder) copyGood(f *os.File, r Record) error {
	old, err := queuedir.OpenFile(w.layout.Info(r.ID))
	if err != nil {
		return err
	}
	defer old.Close() // only read from
	good, err := queuedir.ReadRecords(io.TeeReader(io.LimitReader(old, r.Size), f),
		func(queuedir.Record, int64) error { return nil })
	if err == nil && good != r.Size {
		err = fmt.Errorf("%s is not what was written to it", old.Name())
	}
	return err
}

// sync waits until what was written is durable, with its name.
func (w Recorder) sync(ticket durable.Ticket, f *os.File, r Record) error {
	if len(r.Lines) == 0 && !r.Rewrite {
		return nil
	}
	dir := durable.Directory{Tree: w.tree, Name: r.ID.Bucket()}
	if !r.Rewrite {
		return w.group.Wait(ticket, []durable.Syncer{f}, dir)
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), w.layout.Info(r.ID)); err != nil {
		return err
	}
	return w.group.Wait(w.group.Begin(), nil, dir)
}

// spare is the name under which a progress file is written anew.
func (w Recorder) spare(id queuedir.ID) string {
	return w.layout.InfoDir(id.Bucket()) + "/" + SparePrefix + id.String()
}

const (
	SparePrefix = "."
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

// Touch sets the time of the next attempt of a message that has a progress
// file.
func (w Recorder) Touch(id queuedir.ID, due time.Time) error {
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, unix.NsecToTimespec(due.UnixNano())}
	return unix.UtimesNanoAt(unix.AT_FDCWD, w.layout.Info(id), times, unix.AT_SYMLINK_NOFOLLOW)
}

// Unlink removes the progress file of a message that is gone.
func (w Recorder) Unlink(id queuedir.ID) error { return unlink(w.layout.Info(id)) }

// UnlinkAll removes also what a crash left of one that was written anew.
func (w Recorder) UnlinkAll(id queuedir.ID) error {
	return errors.Join(w.Unlink(id), unlink(w.spare(id)))
}

func unlink(name string) error {
	err := os.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Keep moves the progress file of a message that is set aside out of the way of
// scans: it is the evidence of who has the message.
func (w Recorder) Keep(id queuedir.ID) error {
	name := w.layout.Info(id)
	err := os.Rename(name, name+asideSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
