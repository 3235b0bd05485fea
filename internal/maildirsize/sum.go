package maildirsize

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	trash = ".Trash"
	// maxEntries is how many names are looked at before adding up is given up.
	maxEntries = 4 << 20
	// tries is how often a mailbox is added up that changes meanwhile.
	tries   = 3
	namesAt = 1024 // how many names are read at a time
)

var errTooMany = errors.New("the mailbox has too many files to be counted")

// renew adds up a mailbox and replaces its file.
func renew(box int, quotaLine string, now time.Time) (holds Count, err error) {
	for range tries {
		var before, after time.Time
		if holds, before, err = addUp(box); err != nil {
			return Count{}, err
		}
		if _, after, err = addUpTimes(box); err != nil {
			return Count{}, err
		}
		if before.Equal(after) {
			break
		}
	}
	text := fmt.Sprintf("%s\n%d %d\n", quotaLine, holds.Bytes, holds.Messages)
	fresh := fmt.Sprintf("tmp/%d.M%dP%d.%s", now.Unix(), now.Nanosecond()/1000, os.Getpid(), fileName)
	fd, err := unix.Openat(box, fresh, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return Count{}, &os.PathError{Op: "create", Path: fresh, Err: err}
	}
	f := os.NewFile(uintptr(fd), fresh)
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.NewSyscallError("rename", unix.Renameat(box, fresh, box, fileName))
	}
	if err != nil {
		return Count{}, errors.Join(err, os.NewSyscallError("unlink", unix.Unlinkat(box, fresh, 0)))
	}
	return holds, nil
}

// addUp returns what a mailbox holds, and when a directory of it last changed.
func addUp(box int) (holds Count, changed time.Time, err error) {
	s := &summer{left: maxEntries, count: true}
	err = s.box(box)
	return s.holds, s.changed, err
}

// addUpTimes is addUp without a look at the messages.
func addUpTimes(box int) (Count, time.Time, error) {
	s := &summer{left: maxEntries}
	err := s.box(box)
	return s.holds, s.changed, err
}

type summer struct {
	count   bool
	left    int
	holds   Count
	changed time.Time
}

// box adds up the Maildir itself and its folders.
func (s *summer) box(box int) error {
	if err := s.folder(box, "."); err != nil {
		return err
	}
	return s.names(box, ".", func(dir int, name string) error {
		if !strings.HasPrefix(name, ".") || name == trash {
			return nil
		}
		return s.folder(dir, name)
	})
}

func (s *summer) folder(box int, name string) error {
	for _, sub := range []string{"new", "cur"} {
		if err := s.directory(box, name+"/"+sub); err != nil {
			return err
		}
	}
	return nil
}

// directory adds up one of new and cur. A folder may lack it, or be none.
func (s *summer) directory(box int, name string) error {
	var st unix.Stat_t
	err := unix.Fstatat(box, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if err == unix.ENOENT || err == unix.ENOTDIR || err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "stat", Path: name, Err: err}
	}
	if at := time.Unix(st.Mtim.Unix()); at.After(s.changed) {
		s.changed = at
	}
	if !s.count {
		return nil
	}
	return s.names(box, name, s.message)
}

// message adds a message, whose name tells its size or whose file does.
func (s *summer) message(dir int, name string) error {
	if name[0] == '.' || hasFlag(name, 'T') {
		return nil
	}
	bytes, told := sizeOf(name)
	if !told {
		var st unix.Stat_t
		err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW)
		if err == unix.ENOENT { // renamed or removed meanwhile
			return nil
		}
		if err != nil {
			return &os.PathError{Op: "stat", Path: name, Err: err}
		}
		bytes = st.Size
	}
	s.holds = s.holds.plus(Count{bytes, 1})
	return nil
}

// names calls visit with each name in a directory.
func (s *summer) names(box int, name string, visit func(dir int, name string) error) error {
	fd, err := openIn(box, name, unix.O_DIRECTORY)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	dir := os.NewFile(uintptr(fd), name)
	defer dir.Close()
	for {
		names, err := dir.Readdirnames(namesAt)
		if s.left -= len(names); s.left < 0 {
			return errTooMany
		}
		for _, n := range names {
			if err := visit(fd, n); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// sizeOf returns the size that a name tells: ",S=123" before its flags.
func sizeOf(name string) (bytes int64, told bool) {
	name, _, _ = strings.Cut(name, ":")
	for name != "" {
		_, rest, found := strings.Cut(name, ",S=")
		if !found {
			return 0, false
		}
		digits, _, _ := strings.Cut(rest, ",")
		if n, err := strconv.ParseInt(digits, 10, 64); err == nil && n >= 0 {
			return n, true
		}
		name = rest
	}
	return 0, false
}

// hasFlag reports whether a message has a flag of its owner's: ":2,ST".
func hasFlag(name string, flag byte) bool {
	_, flags, found := strings.Cut(name, ":2,")
	return found && strings.IndexByte(flags, flag) >= 0
}
