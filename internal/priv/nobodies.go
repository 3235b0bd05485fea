package priv

import (
	"errors"
	"slices"

	"postrider/internal/accounts"
)

// Nobodies are the identities that no mail is delivered as.
type Nobodies struct {
	// Below is the least uid that gets mail.
	Below uint32
	// UIDs are the suite's own users.
	UIDs []uint32
	// GIDs are the groups that give rights to the queue or to the machine.
	GIDs []uint32
}

// Forbid takes the right away from this process, and from all that it starts,
// to become one of them: the capabilities SETUID and SETGID alone would make
// it root. A program of an ordinary user notices nothing of it: it can become
// nobody else in any case, but for user namespaces, which it cannot make.
//
// The identity of a child must then be set without setgroups, whose argument
// no filter can see.
func (n Nobodies) Forbid() error { return n.filter().Apply() }

// ForbidOthers has the kernel hold this process, and what it runs, to its user,
// as it holds programs of users: but where the installation has one user alone, or
// its policy lets programs be setuid.
func ForbidOthers(home string) error {
	in, err := Examine(home)
	if err != nil {
		return err
	}
	policy, err := in.Policy()
	if err != nil || in.Private || policy.Off || policy.SetuidPrograms {
		return err
	}
	nobodies, err := FindNobodies(1)
	if err != nil {
		return err
	}
	return nobodies.Forbid()
}

// strongGroups own the disks and the memory of the machine, or its passwords.
var strongGroups = []string{"root", "disk", "kmem", "shadow"}

// FindNobodies looks the names up, those of the suite and of the machine.
// Below is control/localuidmin.
func FindNobodies(below uint32) (Nobodies, error) {
	n := Nobodies{Below: below, GIDs: []uint32{0}}
	for _, user := range Users() {
		if user.Name == accounts.AliasUser {
			continue
		}
		account, err := accounts.Lookup(user.Name)
		if err != nil && !errors.Is(err, accounts.ErrUnknown) {
			return n, err
		}
		if err == nil {
			n.UIDs = append(n.UIDs, account.UID)
		}
	}
	names := slices.Clone(strongGroups)
	for _, g := range Groups() {
		if g.Name != "nofiles" { // that of the alias user
			names = append(names, g.Name)
		}
	}
	for _, name := range names {
		gid, err := accounts.LookupGroup(name)
		if err != nil && !errors.Is(err, accounts.ErrUnknown) {
			return n, err
		}
		if err == nil {
			n.GIDs = append(n.GIDs, gid)
		}
	}
	return n, nil
}

// Has tells whether an identity is one of them.
func (n Nobodies) Has(uid, gid uint32) bool {
	if uid == 0 || uid < n.Below {
		return true
	}
	return slices.Contains(n.UIDs, uid) || slices.Contains(n.GIDs, gid)
}
