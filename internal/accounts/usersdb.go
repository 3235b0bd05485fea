package accounts

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"postrider/internal/cdb"
)

// ErrUsersDB says that users/cdb could not be read or holds nonsense.
var ErrUsersDB = errors.New("trouble reading users/cdb")

// maxCached is the largest database that is kept in memory. For a larger one each
// lookup reads twice in the file: a map of it would be faster still, and the end
// of the process once somebody cuts the file.
const maxCached = 4 << 20

// UsersDB looks up local parts in users/cdb. It keeps the file for as long as
// it is the one at its path, and may be used by several goroutines.
type UsersDB struct {
	path string

	mu        sync.Mutex
	db        *cdb.Reader // nil: not open
	wildcards []byte      // what may be in front of an extension
	is        unix.Stat_t // the file that db reads
	file      *os.File    // nil: it is in memory
}

// NewUsersDB returns the database at path, which is opened when needed.
func NewUsersDB(path string) *UsersDB { return &UsersDB{path: path} }

// Lookup finds local (spec section 3.4 step 1). A missing database knows
// nobody; a link that leads nowhere is trouble.
func (u *UsersDB) Lookup(local string) (Recipient, error) {
	r, _, err := u.find(local)
	return r, err
}

// Find is Lookup, and says which assignment it was: "=" and the local part, or
// "+" and what the local part begins with, as users/assign has it.
func (u *UsersDB) Find(local string) (r Recipient, assignment string, err error) {
	r, used, err := u.find(local)
	switch {
	case err != nil:
		return r, "", err
	case used > len(local):
		return r, "=" + lower(local), nil
	}
	return r, "+" + lower(local[:used]), nil
}

// find is Lookup; used is as that of search.
func (u *UsersDB) find(local string) (r Recipient, used int, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := u.refresh(); err != nil {
		return Recipient{}, 0, err
	}
	r, used, err = u.search(local)
	if err != nil && !errors.Is(err, ErrUnknown) {
		u.drop()
		err = usersDBTrouble(err)
	}
	return r, used, err
}

// refresh opens what is at the path now, unless it is open.
func (u *UsersDB) refresh() error {
	var st unix.Stat_t
	err := unix.Stat(u.path, &st)
	if err == unix.ENOENT {
		if linkErr := unix.Lstat(u.path, &st); linkErr == unix.ENOENT {
			u.drop()
			return ErrUnknown
		}
	}
	if err != nil {
		u.drop()
		return usersDBTrouble(&fs.PathError{Op: "stat", Path: u.path, Err: err})
	}
	if u.db != nil && sameFile(&u.is, &st) {
		return nil
	}
	u.drop()
	if err := u.open(); err != nil {
		u.drop()
		return usersDBTrouble(err)
	}
	return nil
}

// sameFile tells whether a file is the same and was not written to.
func sameFile(a, b *unix.Stat_t) bool {
	return a.Dev == b.Dev && a.Ino == b.Ino && a.Size == b.Size && a.Mtim == b.Mtim && a.Ctim == b.Ctim
}

func (u *UsersDB) drop() {
	if u.file != nil {
		_ = u.file.Close() // only read from
	}
	u.db, u.file, u.wildcards = nil, nil, nil
}

// open opens the database, and reads it if it is small.
func (u *UsersDB) open() error {
	// Without waiting for somebody who writes, should a FIFO be there: it is empty.
	f, err := os.OpenFile(u.path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	u.file = f
	if err := unix.Fstat(int(f.Fd()), &u.is); err != nil {
		return &fs.PathError{Op: "stat", Path: u.path, Err: err}
	}
	source, size := io.ReaderAt(f), u.is.Size
	if size <= maxCached {
		text, err := io.ReadAll(io.LimitReader(f, maxCached))
		if err != nil {
			return err
		}
		u.drop()
		source, size = bytes.NewReader(text), int64(len(text))
	}
	if u.db, err = cdb.NewReader(source, size); err != nil {
		return err
	}
	if err := u.db.KeepHeader(); err != nil {
		return err
	}
	return u.loadWildcards()
}

// loadWildcards asks for the list of wildcards: every users/cdb has it, and a
// file whose blocks a crash has left zero has not. Such a file would know nobody,
// and everybody's mail would bounce.
func (u *UsersDB) loadWildcards() error {
	wildcards, found, err := u.db.Get(nil)
	if err == nil && !found {
		err = errors.New("no list of wildcards")
	}
	u.wildcards = wildcards
	return err
}

func usersDBTrouble(err error) error { return fmt.Errorf("%w: %w", ErrUsersDB, err) }

// search asks the database; used is how much of local was looked for, one more
// if it was an assignment for local alone.
func (u *UsersDB) search(local string) (r Recipient, used int, err error) {
	key := []byte("!" + lower(local) + "\x00")
	data, found, err := u.db.Get(key)
	if err != nil {
		return Recipient{}, 0, err
	}
	if found {
		r, err := parseUser(data)
		return r, len(local) + 1, err
	}
	for n := len(key) - 1; n > 0; n-- {
		if n > 1 && bytes.IndexByte(u.wildcards, key[n-1]) < 0 {
			continue
		}
		data, found, err := u.db.Get(key[:n])
		if err != nil {
			return Recipient{}, 0, err
		}
		if found {
			r, err := parseUser(data)
			r.Ext += local[n-1:] // in the case it was written
			return r, n - 1, err
		}
	}
	return Recipient{}, 0, ErrUnknown
}

// parseUser reads the six fields of a record: user NUL uid NUL gid NUL home
// NUL dash NUL ext.
func parseUser(data []byte) (Recipient, error) {
	fields := strings.Split(string(data), "\x00")
	if len(fields) == 7 && fields[6] == "" {
		fields = fields[:6] // some writers end the last field as well
	}
	if len(fields) != 6 {
		return Recipient{}, fmt.Errorf("record with %d fields", len(fields))
	}
	uid, uidOK := parseID(fields[1])
	gid, gidOK := parseID(fields[2])
	if fields[0] == "" || !uidOK || !gidOK || !strings.HasPrefix(fields[3], "/") {
		return Recipient{}, fmt.Errorf("malformed record of user %q", fields[0])
	}
	return Recipient{fields[0], uid, gid, fields[3], fields[4], fields[5]}, nil
}

// lower folds ASCII letters only: local parts are bytes.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
