package accounts

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"postrider/internal/cdb"
)

// ErrUsersDB says that users/cdb could not be read or holds nonsense.
var ErrUsersDB = errors.New("trouble reading users/cdb")

// byUsersDB finds local in the database at path (spec section 3.4 step 1).
// A missing database knows nobody; a link that leads nowhere is trouble.
func byUsersDB(path, local string) (Recipient, error) {
	db, err := cdb.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, linkErr := os.Lstat(path); errors.Is(linkErr, fs.ErrNotExist) {
			return Recipient{}, ErrUnknown
		}
	}
	if err != nil {
		return Recipient{}, usersDBTrouble(err)
	}
	defer db.Close()
	r, err := searchUsersDB(db, local)
	if err != nil && !errors.Is(err, ErrUnknown) {
		err = usersDBTrouble(err)
	}
	return r, err
}

func usersDBTrouble(err error) error { return fmt.Errorf("%w: %w", ErrUsersDB, err) }

// searchUsersDB asks for the list of wildcards first: every users/cdb has it,
// and a file whose blocks a crash has left zero has not. Such a file would
// know nobody, and everybody's mail would bounce.
func searchUsersDB(db *cdb.Reader, local string) (Recipient, error) {
	wildcards, found, err := db.Get(nil)
	if err != nil {
		return Recipient{}, err
	}
	if !found {
		return Recipient{}, errors.New("no list of wildcards")
	}
	key := []byte("!" + lower(local) + "\x00")
	data, found, err := db.Get(key)
	if err != nil {
		return Recipient{}, err
	}
	if found {
		return parseUser(data)
	}
	for n := len(key) - 1; n > 0; n-- {
		if n > 1 && bytes.IndexByte(wildcards, key[n-1]) < 0 {
			continue
		}
		data, found, err := db.Get(key[:n])
		if err != nil {
			return Recipient{}, err
		}
		if found {
			r, err := parseUser(data)
			r.Ext += local[n-1:] // in the case it was written
			return r, err
		}
	}
	return Recipient{}, ErrUnknown
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
