package users

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"postrider/internal/accounts"
	"postrider/internal/cdb"
	"postrider/internal/control"
)

// Stale says that users/cdb is not what qmail-newu makes of users/assign now.
type Stale string

func (s Stale) Error() string { return "users/cdb is not what users/assign says: " + string(s) }

// Compare reads users/assign in dir as qmail-newu does, and compares users/cdb with
// it. Lines that are wrong are control.Faults.
func Compare(dir string) error {
	path := filepath.Join(dir, "assign")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the database may be made elsewhere
	}
	if err != nil {
		return err
	}
	if faults := faultsOf(path, text); len(faults) > 0 {
		return faults
	}
	db, err := cdb.Open(filepath.Join(dir, "cdb"))
	if errors.Is(err, fs.ErrNotExist) {
		return Stale("there is none")
	}
	if err != nil {
		return err
	}
	defer db.Close() // was only read
	return compare(text, db)
}

// faultsOf returns the lines that qmail-newu would refuse.
func faultsOf(path string, text []byte) (faults control.Faults) {
	accounts.CheckAssign(bytes.NewReader(text), func(line int, err error) {
		faults = append(faults, control.Fault{Path: path, Line: line, Problem: err.Error()})
	})
	return faults
}

// compare looks for each record that qmail-newu would write.
func compare(text []byte, db *cdb.Reader) error {
	var n int64
	first := make(map[string]bool)
	err := accounts.CompileAssign(bytes.NewReader(text), func(r accounts.Record) error {
		n++
		if first[string(r.Key)] {
			return nil // of equal keys the first one counts
		}
		first[string(r.Key)] = true
		data, found, err := db.Get(r.Key)
		switch name := strings.Trim(string(r.Key), "!\x00"); {
		case err != nil:
			return err
		case !found:
			return Stale(fmt.Sprintf("it has no %q", name))
		case !bytes.Equal(data, r.Data):
			return Stale(fmt.Sprintf("%q is another one in it", name))
		}
		return nil
	})
	if stale := Stale(""); errors.As(err, &stale) {
		return stale // without the line of the text, which is right
	}
	if err != nil {
		return err
	}
	if has, err := db.Records(); err != nil || has != n {
		return errors.Join(err, Stale("it has lines that are not there any more"))
	}
	return nil
}
