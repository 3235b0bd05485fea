package setup

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"postrider/internal/priv"
)

// classicDir keeps programs of a classic qmail that were replaced. Nobody but
// root may enter: qmail-queue is setuid there.
const classicDir = "bin.classic"

// install copies all programs of a directory into Q/bin.
func (s *site) install(from string) error {
	bin := filepath.Join(s.home, "bin")
	classic := isClassic(bin)
	programs, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, p := range programs {
		if !p.Type().IsRegular() {
			continue
		}
		target := filepath.Join(bin, p.Name())
		if classic {
			if err := s.keep(target); err != nil {
				return err
			}
		}
		if err := copyProgram(filepath.Join(from, p.Name()), target, priv.Mode(p.Name())); err != nil {
			return err
		}
	}
	return syncDir(bin)
}

// isClassic reports whether qmail's own qmail-queue is there: only that is
// setuid.
func isClassic(bin string) bool {
	info, err := os.Stat(filepath.Join(bin, "qmail-queue"))
	return err == nil && info.Mode()&os.ModeSetuid != 0
}

// keep gives a program that will be replaced a second name.
func (s *site) keep(path string) error {
	dir := filepath.Join(s.home, classicDir)
	if err := os.Mkdir(dir, 0o700); err == nil {
		s.say("the programs of the qmail that was here are kept in " + dir)
	} else if !errors.Is(err, os.ErrExist) {
		return err
	}
	err := os.Link(path, filepath.Join(dir, filepath.Base(path)))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrExist) {
		return nil
	}
	return err
}

func copyProgram(from, to string, mode os.FileMode) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(to), "."+filepath.Base(to)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(out.Name())
		}
	}()
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Chmod(mode), out.Sync(), out.Close()); err != nil {
		return err
	}
	return os.Rename(out.Name(), to)
}

// ownPrograms makes the daemons root's and the group qmail's, in the mode of
// the table. It leaves programs for users alone: they may still be qmail's own.
func (s *site) ownPrograms() error {
	for _, role := range priv.Roles() {
		path := filepath.Join(s.home, "bin", role.Program)
		if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
			continue
		}
		if s.owners != nil {
			if err := os.Lchown(path, 0, s.owners.groups["qmail"]); err != nil {
				return err
			}
		}
		if err := os.Chmod(path, priv.Mode(role.Program)); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}
