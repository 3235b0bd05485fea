package queuecheck

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/clock"
	"postrider/internal/priv"
	"postrider/internal/queuedir"
)

// Config says what is to be done.
type Config struct {
	Layout queuedir.Layout
	Owners Owners
	Clock  clock.Clock
	// Pause waits between two looks at a queue that is in use.
	Pause func(time.Duration)
	// Repair has put right what is safe, which needs a suite that is stopped.
	Repair bool
	// Report is called with each finding.
	Report func(Finding) error
}

// check is one check of a queue.
type check struct {
	Config
	sum      Summary
	classic  bool                  // a queue of qmail is in the same place
	running  bool                  // when the look at it began
	made     map[string]priv.Entry // what qmail-setup makes
	counting bool                  // a name is looked at for the first time
	suspects []suspect
	held     *repairs // nil: nothing is changed
}

// area is a part of the queue, which has names of its own.
type area int

const (
	top area = iota
	inTmp
	inNew  // what is not a bucket
	inInfo // the same
	inBucket
	inInfoBucket
	inBad
	inUnacked
	inDrop
	inLock
	fixed // what qmail-setup makes
)

// place is a name in the queue.
type place struct {
	area area
	dir  string // below the queue
	name string
}

func (p place) path() string {
	if p.dir == "" {
		return p.name
	}
	return p.dir + "/" + p.name
}

// Run checks a queue. An error says that it could not.
func Run(config Config) (Summary, error) {
	c := &check{Config: config}
	st, err := os.Stat(c.Layout.Root)
	if err == nil && !st.IsDir() {
		err = &fs.PathError{Op: "open", Path: c.Layout.Root, Err: unix.ENOTDIR}
	}
	if err != nil {
		return c.sum, err
	}
	if c.Repair {
		if c.held, err = beginRepair(c.Layout); err != nil {
			return c.sum, err
		}
		defer c.held.end()
	}
	st, err = os.Lstat(c.Layout.Root + "/mess")
	c.classic = err == nil && st.IsDir()
	c.running = c.held == nil && c.isRunning()
	c.sum.Running = c.running
	if err := c.all(); err != nil {
		return c.sum, err
	}
	if c.held != nil {
		return c.sum, c.held.sync()
	}
	return c.sum, nil
}

// all looks at everything: directories first, so that they are right when their
// files are looked at, and bad/ last, where repair moves what it finds.
func (c *check) all() error {
	if err := c.tree(); err != nil {
		return err
	}
	type step struct {
		area area
		dir  string
	}
	steps := []step{{top, ""}, {inLock, "lock"}, {inTmp, "tmp"}, {inDrop, "drop"}, {inNew, "new"}, {inInfo, "info"}}
	for i := range queuedir.Buckets {
		name := queuedir.BucketName(i)
		steps = append(steps, step{inBucket, "new/" + name}, step{inInfoBucket, "info/" + name})
	}
	steps = append(steps, step{inBad, "bad"}, step{inUnacked, "bad/unacked"})
	for _, s := range steps {
		if err := c.list(s.area, s.dir); err != nil {
			return err
		}
	}
	return c.settle()
}

// listStep is how many names of a directory are read at a time.
const listStep = 512

// list looks at all names of a directory. One that is missing, or is none, was
// told before.
func (c *check) list(a area, dir string) error {
	d, err := queuedir.OpenDir(c.full(dir))
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		return nil
	case err != nil:
		return c.tell(place{fixed, "", dir}, []Finding{c.cannotRead(dir, err)})
	}
	defer d.Close() // only read from
	for {
		names, err := d.Readdirnames(listStep)
		for _, name := range names {
			if err := c.look(place{a, dir, name}); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return c.tell(place{fixed, "", dir}, []Finding{c.cannotRead(dir, err)})
		}
	}
}

// full is the path of a name below the queue.
func (c *check) full(path string) string {
	if path == "" {
		return c.Layout.Root
	}
	return c.Layout.Root + "/" + path
}

// below is the inverse.
func (c *check) below(path string) string { return strings.TrimPrefix(path, c.Layout.Root+"/") }

// lstat describes a name; nil says that it is gone.
func (c *check) lstat(path string) (*unix.Stat_t, error) {
	var st unix.Stat_t
	for {
		err := unix.Lstat(c.full(path), &st)
		switch err {
		case nil:
			return &st, nil
		case unix.EINTR:
			continue
		case unix.ENOENT, unix.ENOTDIR:
			return nil, nil
		}
		return nil, &fs.PathError{Op: "stat", Path: c.full(path), Err: err}
	}
}

// exists reports whether there is such a name. Trouble is not "gone".
func (c *check) exists(path string) bool {
	st, err := c.lstat(path)
	return err != nil || st != nil
}

func isForbidden(err error) bool { return errors.Is(err, fs.ErrPermission) }

// cannotRead is a file or directory that the system does not give.
func (c *check) cannotRead(path string, err error) Finding {
	if isForbidden(err) && os.Geteuid() != 0 {
		return Finding{Path: path, Kind: CannotRead, Level: Unread, What: "cannot be looked at: " + err.Error(),
			Becomes: "it is not known what is there", Do: "run this as root"}
	}
	return hands(path, CannotRead, "cannot be read: "+err.Error(), "the suite tries it again and again", "mend the disk, or put it back from a backup")
}

// examine returns what is wrong with a name. It is called again to see whether
// that stays; a name that is gone has nothing wrong.
func (c *check) examine(p place) []Finding {
	path := p.path()
	st, err := c.lstat(path)
	if err != nil {
		return []Finding{c.cannotRead(path, err)}
	}
	if st == nil && p.area != fixed {
		return nil
	}
	switch p.area {
	case top:
		return c.topName(p, st)
	case inTmp:
		return c.tmpName(p, st)
	case inNew, inInfo:
		return c.bucketName(p)
	case inBucket:
		return c.newName(p, st)
	case inInfoBucket:
		return c.infoName(p, st)
	case inBad:
		return c.badName(p, st)
	case inUnacked:
		return c.unackedName(p, st)
	case inDrop:
		return c.dropName(p, st)
	case inLock:
		return c.lockName(p)
	}
	return c.fixedName(p, st)
}

// tell reports findings, and has them put right.
func (c *check) tell(p place, found []Finding) error {
	for _, f := range found {
		if c.held != nil && f.remedy.isSome() {
			mended, err := c.held.mend(c, f)
			if err != nil {
				f.Do = fmt.Sprintf("--repair could not mend it (%v): %s", err, f.Do)
			}
			f.Mended = mended
		}
		switch {
		case f.Mended != "":
			c.sum.Mended++
		case f.Level == Own:
			c.sum.Own++
		case f.Level == Hands:
			c.sum.Hands++
		default:
			c.sum.Unread++
		}
		if err := c.Report(f); err != nil {
			return err
		}
	}
	return nil
}

func isRegular(st *unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFREG }
func isDir(st *unix.Stat_t) bool     { return st.Mode&unix.S_IFMT == unix.S_IFDIR }

// typeOf is what a file is, in words.
func typeOf(st *unix.Stat_t) string {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return "a file"
	case unix.S_IFDIR:
		return "a directory"
	case unix.S_IFLNK:
		return "a link"
	case unix.S_IFIFO:
		return "a pipe"
	case unix.S_IFSOCK:
		return "a socket"
	}
	return "a device"
}

func changed(st *unix.Stat_t) time.Time  { return time.Unix(st.Ctim.Unix()) }
func modified(st *unix.Stat_t) time.Time { return time.Unix(st.Mtim.Unix()) }
