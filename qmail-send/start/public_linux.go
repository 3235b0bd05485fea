package start

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"postrider/internal/priv"
)

const (
	publicSocket  = "submit.sock" // in Q/queue
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
// name; and root has no right of its own to the queue. So this runs in a thread
// that has that user's rights to files, a umask and a working directory of its
// own, and that ends with it (invariant 6).
func asOwner(owner *priv.Identity, open func() (*os.File, error)) (f *os.File, err error) {
	priv.OwnThread(func() {
		if err = unix.Unshare(unix.CLONE_FS); err == nil && owner != nil {
			err = becomeForFiles(*owner)
		}
		if err == nil {
			f, err = open()
		}
	})
	return f, err
}

// listenPublic makes the socket that everybody may connect to.
func listenPublic(home string, owner *priv.Identity) (*os.File, error) {
	f, err := asOwner(owner, func() (*os.File, error) { return bindPublic(filepath.Join(home, "queue")) })
	if err != nil {
		return nil, fmt.Errorf("%s/queue/%s: %w", home, publicSocket, err)
	}
	return f, nil
}

func bindPublic(dir string) (*os.File, error) {
	unix.Umask(0o111)
	// The name is relative, since a socket's path is at most 107 bytes.
	if err := unix.Chdir(dir); err != nil {
		return nil, os.NewSyscallError("chdir", err)
	}
	if err := unix.Unlink(publicSocket); err != nil && err != unix.ENOENT {
		return nil, os.NewSyscallError("unlink", err)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), publicSocket)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: publicSocket}); err != nil {
		f.Close()
		return nil, os.NewSyscallError("bind", err)
	}
	if err := unix.Listen(fd, publicBacklog); err != nil {
		f.Close()
		return nil, os.NewSyscallError("listen", err)
	}
	return f, nil
}

// becomeForFiles changes whose rights this thread has when it uses files. The
// calls tell no error: a second one returns what is in force.
func becomeForFiles(id priv.Identity) error {
	for range 2 {
		gid, _ := unix.SetfsgidRetGid(int(id.GID))
		uid, _ := unix.SetfsuidRetUid(int(id.UID))
		if gid == int(id.GID) && uid == int(id.UID) {
			return nil
		}
	}
	return fmt.Errorf("unable to use files as uid %d", id.UID)
}
