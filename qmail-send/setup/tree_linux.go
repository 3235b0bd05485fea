package setup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"postrider/internal/priv"
)

// site is one installation that is laid out.
type site struct {
	home string // with the destination directory in front
	// owners is nil if nobody is to be made owner: in a private installation,
	// and in a package that is laid out without accounts.
	owners *ids
	say    func(string)
}

// layOut makes the tree and sets owners and modes.
func (s *site) layOut(tree []priv.Entry) error {
	if err := os.MkdirAll(filepath.Dir(s.home), 0o755); err != nil {
		return err
	}
	for _, e := range tree {
		if err := s.entry(e); err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(s.home, e.Path), err)
		}
	}
	return nil
}

// entry makes one directory or file, or puts right what is there.
func (s *site) entry(e priv.Entry) error {
	dir, err := s.openParent(e.Path)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	name := filepath.Base(e.Path)
	if e.Path == "." {
		name = filepath.Base(s.home)
	}
	fd, made, err := makeEntry(dir, name, e)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if e.Keep && !made {
		return nil
	}
	mode := unixMode(e.Mode)
	if s.owners != nil {
		if mode, err = s.own(fd, e, made); err != nil {
			return err
		}
	}
	// After chown, which takes the setgid bit away.
	if err := unix.Fchmod(fd, mode); err != nil {
		return os.NewSyscallError("chmod", err)
	}
	if made && !strings.HasPrefix(e.Path, "queue/new/") && !strings.HasPrefix(e.Path, "queue/info/") {
		s.say(fmt.Sprintf("%s made, %s:%s %v", filepath.Join(s.home, e.Path), e.User, e.Group, e.Mode))
	}
	return nil
}

// own sets the owner and returns the mode that goes with it.
func (s *site) own(fd int, e priv.Entry, made bool) (mode uint32, err error) {
	uid, knownUser := s.owners.users[e.User]
	gid, knownGroup := s.owners.groups[e.Group]
	if !knownUser || !knownGroup {
		return 0, fmt.Errorf("user %s or group %s is missing", e.User, e.Group)
	}
	mode = unixMode(e.Mode)
	if e.Shared != 0 && !made {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return 0, os.NewSyscallError("stat", err)
		}
		if int(st.Gid) == s.owners.groups["qmail"] {
			gid, mode = int(st.Gid), unixMode(e.Shared)
		}
	}
	return mode, os.NewSyscallError("chown", unix.Fchown(fd, uid, gid))
}

// openParent opens the directory that an entry is in. Directly below Q, which
// is root's, a link is the administrator's; deeper it may be anybody's.
func (s *site) openParent(path string) (fd int, err error) {
	if path == "." {
		return openDir(unix.AT_FDCWD, filepath.Dir(s.home), 0)
	}
	if fd, err = openDir(unix.AT_FDCWD, s.home, 0); err != nil {
		return -1, err
	}
	parts := strings.Split(path, "/")
	for i, part := range parts[:len(parts)-1] {
		flags := unix.O_NOFOLLOW
		if i == 0 {
			flags = 0
		}
		next, err := openDir(fd, part, flags)
		unix.Close(fd)
		if err != nil {
			return -1, err
		}
		fd = next
	}
	return fd, nil
}

func openDir(at int, name string, flags int) (int, error) {
	fd, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC|flags, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return fd, nil
}

// makeEntry opens an entry in its directory, making it if it is missing.
func makeEntry(dir int, name string, e priv.Entry) (fd int, made bool, err error) {
	flags := unix.O_NOFOLLOW
	if !strings.Contains(e.Path, "/") {
		flags = 0
	}
	if e.File {
		return makeFile(dir, name)
	}
	err = unix.Mkdirat(dir, name, 0o700)
	if err != nil && err != unix.EEXIST {
		return -1, false, os.NewSyscallError("mkdir", err)
	}
	fd, openErr := openDir(dir, name, flags)
	return fd, err == nil, openErr
}

func makeFile(dir int, name string) (fd int, made bool, err error) {
	const flags = unix.O_RDWR | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	fd, err = unix.Openat(dir, name, flags|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err == nil {
		return fd, true, nil
	}
	if fd, err = unix.Openat(dir, name, flags, 0); err != nil {
		return -1, false, os.NewSyscallError("open", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Nlink != 1 {
		unix.Close(fd)
		return -1, false, errors.Join(err, errors.New("is not a plain file with one name"))
	}
	return fd, false, nil
}

// unixMode returns a mode as the kernel writes it.
func unixMode(m os.FileMode) uint32 {
	mode := uint32(m.Perm())
	if m&os.ModeSetgid != 0 {
		mode |= unix.S_ISGID
	}
	if m&os.ModeSticky != 0 {
		mode |= unix.S_ISVTX
	}
	return mode
}
