package users

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"postrider/internal/accounts"
	"postrider/internal/cdb"
	"postrider/internal/world"
)

// Exit codes.
const (
	exitDone      = 0
	exitTemporary = 111
)

const (
	umask  = 0o033
	dbMode = 0o644
)

// Main compiles users/assign below the qmail home directory.
func Main(w world.World) int {
	unix.Umask(umask)
	if err := run(filepath.Join(w.Home, "users")); err != nil {
		fmt.Fprintf(w.Stderr, "qmail-newu: fatal: %v\n", err)
		return exitTemporary
	}
	return exitDone
}

func run(dir string) error {
	assign, err := os.Open(filepath.Join(dir, "assign"))
	if err != nil {
		return fmt.Errorf("unable to open users/assign: %w", err)
	}
	defer assign.Close()
	path := filepath.Join(dir, "cdb")
	var bad error
	err = cdb.Replace(path, path+".tmp", dbMode, func(w *cdb.Writer) error {
		bad = accounts.CompileAssign(assign, func(r accounts.Record) error { return w.Add(r.Key, r.Data) })
		return bad
	})
	if bad != nil {
		return fmt.Errorf("bad format in users/assign: %w", bad)
	}
	if err != nil {
		return fmt.Errorf("unable to write users/cdb: %w", err)
	}
	return nil
}
