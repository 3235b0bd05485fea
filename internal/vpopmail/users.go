package vpopmail

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"postrider/internal/cdb"
	"postrider/internal/dotqmail"
)

const (
	// Database is the file, in the domain's directory.
	Database = "vpasswd.cdb"
	// maxName is longer than the name of any user.
	maxName = 128
	// maxDirectory is longer than what vpopmail writes.
	maxDirectory = 1024
	// bounceMail is the flag of an account that is closed.
	bounceMail = 0x10
	// writableMode is what the database may not have.
	writableMode = 0o002
)

var (
	// ErrNoDatabase says that a directory has no vpasswd.cdb: its users are
	// somewhere else, perhaps in SQL.
	ErrNoDatabase = errors.New(Database + " is not there")

	errWritable = errors.New(Database + " can be written by everybody")
	errKind     = errors.New(Database + " is no plain file")
	errUser     = errors.New(Database + " has a user whose line is not of its form")
)

// User is a user of a domain.
type User struct {
	Name string
	// Dir is his directory. It is absolute.
	Dir string
	// Closed says that mail for him is to fail for good.
	Closed bool

	quota string
}

// Account is the user that an address means, and the extension behind his name.
type Account struct {
	User
	Ext    string
	HasExt bool
}

// Box is the user's Maildir, in his directory.
const Box = "./Maildir/"

// Files yields the names of the instruction files in his directory, of which the
// first that is there counts.
func (a Account) Files() iter.Seq[string] {
	return func(yield func(string) bool) {
		if a.HasExt {
			for candidate := range dotqmail.Candidates("-", a.Ext, "") {
				if !yield(candidate.Name) {
					return
				}
			}
		}
		yield(".qmail")
	}
}

// Find looks for the user whose mail is that for ext, in the domain whose open
// directory is dir.
func (s Settings) Find(dir int, ext string) (a Account, found bool, err error) {
	file, size, err := open(dir)
	if err != nil {
		return a, false, err
	}
	defer unix.Close(int(file))
	users, err := cdb.NewReader(file, size)
	if err != nil {
		return a, false, fmt.Errorf("%s: %w", Database, err)
	}
	name := lower(ext)
	for end := len(name); end >= 0; end = strings.LastIndexByte(name[:end], '-') {
		if a.User, found, err = get(users, name[:end]); err != nil {
			return a, false, fmt.Errorf("%s: %w", Database, err)
		}
		if found {
			if end < len(name) {
				a.Ext, a.HasExt = name[end+1:], true
			}
			return a, true, nil
		}
		if !s.Extensions {
			break
		}
	}
	return a, false, nil
}

func get(users *cdb.Reader, name string) (u User, found bool, err error) {
	if name == "" || len(name) > maxName {
		return u, false, nil
	}
	data, found, err := users.Get([]byte(name))
	if err != nil || !found {
		return u, false, err
	}
	u, err = parseUser(name, string(data))
	return u, err == nil, err
}

// parseUser reads what the database has of a user.
func parseUser(name, data string) (User, error) {
	const flags, directory, quota, least = 2, 4, 5, 6
	fields := strings.Split(data, ":")
	if len(fields) < least {
		return User{}, errUser
	}
	u := User{Name: name, Dir: strings.TrimRight(fields[directory], "/"), quota: strings.TrimSpace(fields[quota])}
	if fields[flags] != "" {
		n, err := strconv.ParseInt(fields[flags], 10, 64)
		if err != nil {
			return User{}, errUser
		}
		u.Closed = n&bounceMail != 0
	}
	if !strings.HasPrefix(u.Dir, "/") || len(u.Dir) > maxDirectory || strings.ContainsAny(u.Dir, "\x00\n") {
		return User{}, errUser
	}
	return u, nil
}

// file reads at places in an open file, without an os.File, which would cost
// more than a lookup.
type file int

// ReadAt implements io.ReaderAt.
func (fd file) ReadAt(p []byte, offset int64) (int, error) {
	for {
		n, err := unix.Pread(int(fd), p, offset)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, os.NewSyscallError("pread", err)
		case n < len(p):
			return n, cdb.ErrFormat // it was longer when it was opened
		default:
			return n, nil
		}
	}
}

// open opens the database. What lies under its name may be anything.
func open(dir int) (f file, size int64, err error) {
	var fd int
	for {
		fd, err = unix.Openat(dir, Database, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			break
		}
	}
	if err == unix.ENOENT {
		return -1, 0, ErrNoDatabase
	}
	if err != nil {
		return -1, 0, &os.PathError{Op: "open", Path: Database, Err: err}
	}
	var st unix.Stat_t
	switch err = unix.Fstat(fd, &st); {
	case err != nil:
		err = os.NewSyscallError("fstat", err)
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		err = errKind
	case st.Mode&writableMode != 0:
		err = errWritable
	default:
		return file(fd), st.Size, nil
	}
	_ = unix.Close(fd) // nothing was written
	return -1, 0, err
}

// lower folds ASCII letters: names are bytes.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
