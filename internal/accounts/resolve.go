package accounts

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// What an installation has unless it was compiled otherwise (spec section 0.4).
const (
	AliasUser    = "alias"
	DefaultBreak = "-"
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
	UsersDB *UsersDB // users/cdb
	Passwd  *Passwd
	Alias   string // the account of what nobody owns
	Break   string // each of its bytes may be between user and extension
	// Aliases, if not nil, is asked first: it says whether local is an alias,
	// whose mail is that of the account Alias, or else what of it is to be looked
	// for in the tables above.
	Aliases    func(local string) (isAlias bool, rest string, err error)
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
	found, rest, err := r.assigned(local)
	if !errors.Is(err, ErrUnknown) {
		return found, err
	}
	return r.ByPasswd(rest)
}

// Assigned is Resolve for those local parts about which the administrator's
// tables have the last word. It does not wait; the others are ErrUnknown.
func (r *Resolver) Assigned(local string) (Recipient, error) {
	found, _, err := r.assigned(local)
	return found, err
}

func (r *Resolver) assigned(local string) (found Recipient, rest string, err error) {
	if r.Aliases != nil {
		isAlias, rest, err := r.Aliases(local)
		if err != nil {
			return Recipient{}, "", fmt.Errorf("%w: %w", ErrAliases, err)
		}
		if isAlias {
			found, err := r.alias(local)
			return found, "", err
		}
		local = rest
	}
	found, err = r.UsersDB.Lookup(local)
	return found, local, err
}

// ErrAliases says that a table of aliases could not be read or holds nonsense.
var ErrAliases = errors.New("trouble reading the tables in control/aliases")
