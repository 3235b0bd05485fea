package accounts

import (
	"errors"

	"golang.org/x/sys/unix"
)

// What an installation has unless it was compiled otherwise (spec section 0.4).
const (
	AliasUser    = "alias"
	DefaultBreak = '-'
)

// Recipient is who mail for a local part belongs to, and what of the local
// part is left for his .qmail files.
type Recipient struct {
	User      string
	UID, GID  uint32
	Home      string
	Dash, Ext string
}

// Resolver finds the recipient of a local part.
type Resolver struct {
	UsersDB    *UsersDB // users/cdb
	Passwd     *Passwd
	Alias      string // the account of what nobody owns
	Break      byte   // between user and extension
	MinimumUID uint32 // accounts of passwd below it get no mail
	// Private, if not nil, is the only account of this installation: others
	// in passwd get no mail, and it stands in for the alias account.
	Private *Account
	// Stat looks at a home directory, which may be on a server that does not
	// answer. nil is the kernel's.
	Stat func(path string, st *unix.Stat_t) error
}

// Resolve returns the recipient of local. uid 0 and ids below the minimum can
// come out of users/cdb: the caller refuses them.
func (r *Resolver) Resolve(local string) (Recipient, error) {
	found, err := r.UsersDB.Lookup(local)
	if !errors.Is(err, ErrUnknown) {
		return found, err
	}
	return r.ByPasswd(local)
}
