package lookup

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"postrider/internal/dotqmail"
	"postrider/internal/maildirsize"
	"postrider/internal/vpopmail"
	wire "postrider/internal/wire/lookup"
)

// onlyVdelivermail tells whether all that instructions do is to run vdelivermail,
// where qmail-local does its work. After other lines a delivery may end before
// that, so that nothing is known.
func (r rules) onlyVdelivermail(text string) (f vpopmail.Fallback, understood bool) {
	if r.vpopmail.Dir == "" {
		return f, false
	}
	for i := range dotqmail.Instructions(text, false) {
		if understood || i.Kind != dotqmail.Program {
			return f, false
		}
		if f, understood = r.vpopmail.Parse(i.Text); !understood {
			return f, false
		}
	}
	return f, understood
}

// domain is the answer for an address of a domain that vpopmail keeps in home.
func (r rules) domain(home int, fallback vpopmail.Fallback, ext string) (wire.Answer, error) {
	user, found, err := r.vpopmail.Find(home, ext)
	switch {
	case errors.Is(err, vpopmail.ErrNoDatabase): // vdelivermail itself knows
		return exists, nil
	case err != nil:
		return hidden(err)
	case !found && fallback.Kind == vpopmail.Bounce, found && user.Closed:
		return unknown, nil
	case !found:
		return exists, nil
	}
	limit, err := user.Limit()
	if err != nil {
		return wire.Answer{}, err
	}
	return inDirectory(user, limit), nil
}

// inDirectory is the answer for a user's own directory: the first file counts
// that is there, else his Maildir.
func inDirectory(user vpopmail.Account, limit maildirsize.Limit) wire.Answer {
	dir, err := unix.Open(user.Dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return exists // whatever the trouble is: a delivery waits
	}
	defer unix.Close(dir)
	for name := range user.Files() {
		text, _, err := readRegular(dir, name, maxInstructions)
		switch {
		case errors.Is(err, os.ErrNotExist):
			continue
		case err != nil || text != "":
			return exists
		}
		break
	}
	return quota(dir, vpopmail.Box, limit)
}
