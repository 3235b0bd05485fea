package setup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// configure gives a new installation what it cannot do without: its name, the
// domains it takes mail for, so that it relays for nobody, and somebody who
// reads the postmaster's mail.
func (s *site) configure(hostname string, newAlias bool) error {
	made, err := s.write("control/me", hostname+"\n")
	if err != nil {
		return err
	}
	if made {
		s.say(fmt.Sprintf("%s made: this host is %s", filepath.Join(s.home, "control/me"), hostname))
		if _, err := s.write("control/rcpthosts", hostname+"\nlocalhost\n"); err != nil {
			return err
		}
		if _, err := s.write("control/locals", hostname+"\nlocalhost\n"); err != nil {
			return err
		}
	}
	if !newAlias {
		return nil
	}
	return s.makePostmaster()
}

// makePostmaster delivers the mail of the names that every host must have.
func (s *site) makePostmaster() error {
	for name, text := range map[string]string{
		".qmail-postmaster":    "./Maildir/\n",
		".qmail-mailer-daemon": "&postmaster\n",
		".qmail-root":          "&postmaster\n",
		".qmail-abuse":         "&postmaster\n",
	} {
		if _, err := s.write("alias/"+name, text); err != nil {
			return err
		}
	}
	for _, dir := range []string{"", "/tmp", "/new", "/cur"} {
		path := filepath.Join(s.home, "alias/Maildir"+dir)
		if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		// The group of alias, which it took over, is none of the Maildir's.
		if err := errors.Join(s.chownTo(path, "alias"), os.Chmod(path, 0o700)); err != nil {
			return err
		}
	}
	s.say("mail for postmaster, root, mailer-daemon and abuse goes to " + filepath.Join(s.home, "alias/Maildir"))
	return nil
}

func (s *site) chownTo(path, user string) error {
	if s.owners == nil {
		return nil
	}
	return os.Lchown(path, s.owners.users[user], s.owners.groups["nofiles"])
}

// write makes a file that is not there yet.
func (s *site) write(name, text string) (made bool, err error) {
	f, err := os.OpenFile(filepath.Join(s.home, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = f.WriteString(text)
	return true, errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
}
