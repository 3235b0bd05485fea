package captured

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// mayChange is what a host's own work changes: the queue, which the ledger
// looks into, mailboxes, all that is mallory's, and what daemons remember.
var mayChange = []string{
	"/home/alice/Maildir", "/home/bob/Maildir", "/home/sender/Maildir", "/home/mallory", planFile,
	"/var/qmail/queue", "/var/qmail/policy", "/var/qmail/mtasts", "/var/qmail/tlsseen", "/var/qmail/tlsrpt",
}

// hashed are the parts of the tree that a host has of its own. What is below
// /var/lib and /var/cache is the machine's.
var hashed = []string{"/etc", "/home", "/root", "/tmp", "/usr/sbin", "/var"}

// tree is what each file below those is.
func (d *drill) tree() map[string]string {
	d.t.Helper()
	files := make(map[string]string)
	for _, top := range hashed {
		root := d.Path(top)
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			name := top + strings.TrimPrefix(path, root)
			switch {
			case os.IsNotExist(err):
				return nil
			case err != nil:
				return err
			case d.leaveOut(name):
				if entry.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			files[name], err = fingerprint(path)
			return err
		})
		if err != nil {
			d.t.Fatal(err)
		}
	}
	return files
}

func (d *drill) leaveOut(name string) bool {
	allowed := append([]string{"/var/lib", "/var/cache"}, mayChange...)
	if d.program == "qmail-send" { // has mail delivered as it likes, and root's goes there
		allowed = append(allowed, "/var/qmail/alias/Maildir")
	}
	for _, prefix := range allowed {
		if name == prefix || strings.HasPrefix(name, prefix+"/") {
			return true
		}
	}
	return strings.HasPrefix(name, "/var/qmail/bin/"+d.program)
}

// fingerprint is what a file is: of a directory, who owns it.
func fingerprint(path string) (string, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return "", &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	print := fmt.Sprintf("mode %o of %d:%d", st.Mode, st.Uid, st.Gid)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		target, err := os.Readlink(path)
		return print + " to " + target, err
	case unix.S_IFREG:
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer f.Close()
		sum := sha256.New()
		_, err = io.Copy(sum, f)
		return fmt.Sprintf("%s, %v, %x", print, time.Unix(st.Mtim.Unix()).UTC(), sum.Sum(nil)), err
	}
	return print, nil
}

// compareTrees reports every file that is another one.
func compareTrees(t *testing.T, before, after map[string]string) {
	t.Helper()
	for name, was := range before {
		if is := after[name]; is != was {
			t.Errorf("%s was %q, is %q", name, was, is)
		}
	}
	for name, is := range after {
		if _, known := before[name]; !known {
			t.Errorf("%s is new: %q", name, is)
		}
	}
	t.Logf("%d files are as before", len(before))
}
