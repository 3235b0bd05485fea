package tables

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"postrider/internal/cdb"
)

// Stale says that a database is not what its text says now.
type Stale string

func (s Stale) Error() string {
	return "control/morercpthosts.cdb is not what control/morercpthosts says: " + string(s)
}

// CompareMRH reads control/morercpthosts as qmail-newmrh does, and compares the
// database with it. Without the text there is nothing to compare.
func CompareMRH(home string) error {
	list := home + "/control/morercpthosts"
	in, err := os.Open(list)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close() // was only read
	db, err := cdb.Open(list + ".cdb")
	if errors.Is(err, fs.ErrNotExist) {
		return Stale("there is none")
	}
	if err != nil {
		return err
	}
	defer db.Close() // was only read
	var n int64
	err = eachLine(in, func(_ int, line string) error {
		return addDomain(func(key, _ []byte) error {
			n++
			_, found, err := db.Get(key)
			if err == nil && !found {
				err = Stale(fmt.Sprintf("it has no %q", key))
			}
			return err
		}, line)
	})
	if err != nil {
		return err
	}
	if has, err := db.Records(); err != nil || has != n {
		return errors.Join(err, Stale("it has domains that are not there any more"))
	}
	return nil
}
