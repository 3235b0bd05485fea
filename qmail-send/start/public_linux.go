package start

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"postrider/internal/priv"
)

// The sockets in Q/queue that everybody may connect to.
const (
	publicSocket  = "submit.sock"
	manageSocket  = "manage.sock"
	publicBacklog = 1024
)

// errLocked says that another qmail-start runs on this queue.
var errLocked = errors.New("qmail-start is already running on this queue")

// openLock opens the queue's lock directory, which is what is locked. Nobody
// but the queue's users can open it, so that nobody else can hold the lock.
func openLock(home string, owner *priv.Identity) (*os.File, error) {
	path := filepath.Join(home, "queue/lock")
	return asOwner(owner, func() (*os.File, error) {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, &os.PathError{Op: "open", Path: path, Err: err}
		}
		return os.NewFile(uintptr(fd), path), nil
	})
}

// asOwner opens a file of the queue. The queue directory belongs to the spool's
// user, who could put a link in the way of anything that root does there by
// name; and root has no right of its own to the queue (invariant 6).
func asOwner(owner *priv.Identity, open func() (*os.File, error)) (f *os.File, err error) {
	err = priv.ForFiles(owner, func() (err error) {
		f, err = open()
		return err
	})
	return f, err
}

// sockets are those that everybody may connect to.
type sockets struct{ public, manage *os.File }

func (s sockets) close() {
	for _, f := range []*os.File{s.public, s.manage} {
		if f != nil {
			_ = f.Close() // a listening socket's close has no result that matters
		}
	}
}

func listenPublic(home string, owner *priv.Identity) (s sockets, err error) {
	if s.public, err = listenAs(home, owner, publicSocket, unix.SOCK_STREAM); err != nil {
		return s, err
	}
	s.manage, err = listenAs(home, owner, manageSocket, unix.SOCK_SEQPACKET)
	return s, err
}

func listenAs(home string, owner *priv.Identity, name string, kind int) (*os.File, error) {
	f, err := asOwner(owner, func() (*os.File, error) { return bindPublic(filepath.Join(home, "queue"), name, kind) })
	if err != nil {
		return nil, fmt.Errorf("%s/queue/%s: %w", home, name, err)
	}
	return f, nil
}

func bindPublic(dir, name string, kind int) (*os.File, error) {
	return bindUnix(dir, name, kind, 0o111)
}

// bindUnix makes a listening socket in a directory. It changes the mask and the
// directory of its thread.
func bindUnix(dir, name string, kind, umask int) (*os.File, error) {
	unix.Umask(umask)
	// The name is relative, since a socket's path is at most 107 bytes.
	if err := unix.Chdir(dir); err != nil {
		return nil, os.NewSyscallError("chdir", err)
	}
	if err := unix.Unlink(name); err != nil && err != unix.ENOENT {
		return nil, os.NewSyscallError("unlink", err)
	}
	fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: name}); err != nil {
		f.Close()
		return nil, os.NewSyscallError("bind", err)
	}
	if err := unix.Listen(fd, publicBacklog); err != nil {
		f.Close()
		return nil, os.NewSyscallError("listen", err)
	}
	return f, nil
}
