package priv

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// rootCaps are what a program keeps that the administrator has run as root: what
// it takes to become somebody else. Files it reaches as their owner only.
var rootCaps = []uintptr{unix.CAP_SETUID, unix.CAP_SETGID}

// ChosenUser returns whom the administrator has chosen for a role, or nothing.
func (in Installation) ChosenUser(r Role) (string, error) {
	dir := in.control()
	switch r.ChosenBy {
	case "checkpassuser":
		return dir.Line("checkpassuser", "")
	case "vpopmailuser":
		return dir.Line("vpopmailuser", "")
	}
	return "", nil
}

// Chosen returns the row of a role whose user the administrator may choose, as
// he has chosen: that user with his own group and no other. Another user of the
// suite cannot be chosen.
func (in Installation) Chosen(r Role) (Role, error) {
	if r.ChosenBy == "" || in.Private {
		return r, nil
	}
	dir := in.control()
	name, err := in.ChosenUser(r)
	if err != nil || name == "" || name == r.User {
		return r, err
	}
	uid, err := lookupUser(name)
	if err != nil {
		return r, fmt.Errorf("%s/%s: %w", dir, r.ChosenBy, err)
	}
	for _, u := range Users() {
		if own, err := lookupUser(u.Name); err != nil || own == uid {
			return r, fmt.Errorf("%s/%s: %s is a user of the suite", dir, r.ChosenBy, name)
		}
	}
	if uid == 0 && r.Confined {
		return r, fmt.Errorf("%s/%s: it does not run as root", dir, r.ChosenBy)
	}
	r.User, r.Group, r.Groups = name, "", nil
	if uid == 0 {
		r.Caps = rootCaps
	}
	return r, nil
}
