package priv

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// ForFiles calls f in a thread that has the rights of owner to files, and a
// umask and a working directory of its own, and that ends with f; without an
// owner only the latter. It is for what root does in directories of others, who
// could put a link in its way.
func ForFiles(owner *Identity, f func() error) (err error) {
	OwnThread(func() {
		if err = unix.Unshare(unix.CLONE_FS); err == nil && owner != nil {
			err = becomeForFiles(*owner)
		}
		if err == nil {
			err = f()
		}
	})
	return err
}

// becomeForFiles changes whose rights this thread has when it uses files. The
// calls tell no error: a second one returns what is in force.
func becomeForFiles(id Identity) error {
	for range 2 {
		gid, _ := unix.SetfsgidRetGid(int(id.GID))
		uid, _ := unix.SetfsuidRetUid(int(id.UID))
		if gid == int(id.GID) && uid == int(id.UID) {
			return nil
		}
	}
	return fmt.Errorf("unable to use files as uid %d", id.UID)
}
