package queuecheck

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"postrider/internal/priv"
	"postrider/internal/queuedir"
	"postrider/internal/queuelock"
)

// remedy is what puts a finding right. Whatever it is, it removes nothing and
// replaces nothing.
type remedy struct {
	from   string // of what is moved, if it is not what was found
	to     string // where that goes; what was found goes into bad/ if that is taken
	find   bool   // it goes into bad/ under a name of its own
	rights *rights
	make   *priv.Entry
}

func (r remedy) isSome() bool { return r.to != "" || r.find || r.rights != nil || r.make != nil }

// repairs is who has the queue for himself.
type repairs struct {
	root  int // the queue directory
	locks []*os.File
	found int  // the last number in bad/
	did   bool // something
}

// ErrInUse says that a queue cannot be put right while the suite works on it.
var ErrInUse = errors.New("the suite works on this queue: stop it first")

// maxFound bounds the names of found files in bad/.
const maxFound = 1_000_000

// beginRepair takes both locks. A daemon that starts waits for them.
func beginRepair(l queuedir.Layout) (*repairs, error) {
	root, err := unix.Open(l.Root, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: l.Root, Err: err}
	}
	r := &repairs{root: root}
	for _, name := range []string{l.SpoolLock(), l.SendLock()} {
		f, err := queuedir.OpenFile(name)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
			continue // no daemon can have it
		}
		if err == nil {
			r.locks = append(r.locks, f)
			err = queuelock.Try(f)
		}
		if err == queuelock.ErrLocked {
			err = ErrInUse
		}
		if err != nil {
			r.end()
			return nil, err
		}
	}
	return r, nil
}

func (r *repairs) end() {
	for _, f := range r.locks {
		_ = f.Close() // only locked
	}
	_ = unix.Close(r.root) // only synced
}

// sync makes durable what was done.
func (r *repairs) sync() error {
	if !r.did {
		return nil
	}
	return os.NewSyscallError("syncfs", unix.Syncfs(r.root))
}

// mend does what the remedy of a finding says, and tells it in words.
func (r *repairs) mend(c *check, f Finding) (words string, err error) {
	r.did = true
	m := f.remedy
	switch {
	case m.make != nil:
		if err = r.make(f.Path, *m.make, *m.rights, c.Owners); err == nil {
			words = "made"
		}
		return words, err
	case m.rights != nil:
		if err = r.own(f.Path, *m.rights, c.Owners); err == nil {
			words = "has its owner and mode"
		}
		return words, err
	}
	from := m.from
	if from == "" {
		from = f.Path
	}
	if m.find {
		return r.putAway(from)
	}
	if err = r.move(from, m.to); err == nil {
		return movedTo + m.to, nil
	}
	if errors.Is(err, fs.ErrExist) && m.from == "" {
		return r.putAway(from)
	}
	return "", err
}

const movedTo = "moved to "

// putAway moves what has no place into bad/.
func (r *repairs) putAway(from string) (words string, err error) {
	for r.found < maxFound {
		r.found++
		to := fmt.Sprintf("bad/%s%d", foundPrefix, r.found)
		err := r.move(from, to)
		if err == nil {
			return movedTo + to, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return "", err
		}
	}
	return "", errors.New("there is too much in bad/")
}

// open opens what is below the queue and no link, in no part of its path.
func (r *repairs) open(name string, flags uint64) (int, error) {
	if name == "" || name == "." {
		return unix.Dup(r.root)
	}
	how := unix.OpenHow{Flags: flags | unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NOFOLLOW, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS}
	fd, err := unix.Openat2(r.root, name, &how)
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return fd, nil
}

// move renames to a name that nobody has.
func (r *repairs) move(from, to string) error {
	source, err := r.open(path.Dir(from), unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(source)
	target, err := r.open(path.Dir(to), unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(target)
	if err := unix.Renameat2(source, path.Base(from), target, path.Base(to), unix.RENAME_NOREPLACE); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// make makes a directory, or an empty file, that is missing.
func (r *repairs) make(name string, e priv.Entry, want rights, o Owners) error {
	dir, err := r.open(path.Dir(name), unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	if e.File {
		fd, err := unix.Openat(dir, path.Base(name), unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return &fs.PathError{Op: "create", Path: name, Err: err}
		}
		_ = unix.Close(fd) // nothing was written
	} else if err := unix.Mkdirat(dir, path.Base(name), 0o700); err != nil {
		return &fs.PathError{Op: "mkdir", Path: name, Err: err}
	}
	return r.own(name, want, o)
}

// own gives a file or directory its owner and mode. A file with a second name may
// be somebody else's.
func (r *repairs) own(name string, want rights, o Owners) error {
	fd, err := r.open(name, unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	if !isDir(&st) && (!isRegular(&st) || st.Nlink != 1) {
		return fmt.Errorf("%s is not a file with one name", name)
	}
	uid, gid := o.ids(want)
	if err := unix.Fchown(fd, uid, gid); err != nil {
		return &fs.PathError{Op: "chown", Path: name, Err: err}
	}
	// After chown, which takes the setgid bit away.
	if err := unix.Fchmod(fd, want.bits()); err != nil {
		return &fs.PathError{Op: "chmod", Path: name, Err: err}
	}
	return nil
}
