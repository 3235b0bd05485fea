package queuecheck

import (
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"postrider/internal/accounts"
	"postrider/internal/priv"
)

// Owners are the numbers of the users and groups of the suite. One that is not
// there is not compared.
type Owners struct {
	UIDs, GIDs map[string]uint32
}

// OwnersAt returns those of the installation at a home directory. In a private
// one every user is its owner, and groups do not matter.
func OwnersAt(home string) (Owners, error) {
	in, err := priv.Examine(home)
	if err != nil {
		return Owners{}, err
	}
	o := Owners{UIDs: make(map[string]uint32), GIDs: make(map[string]uint32)}
	for _, u := range priv.Users() {
		if o.UIDs[u.Name] = in.UID; in.Private {
			continue
		}
		account, err := accounts.Lookup(u.Name)
		if err != nil {
			return o, fmt.Errorf("unable to find user %s: %w: run qmail-setup", u.Name, err)
		}
		o.UIDs[u.Name] = account.UID
	}
	for _, g := range priv.Groups() {
		if in.Private {
			break
		}
		if o.GIDs[g.Name], err = accounts.LookupGroup(g.Name); err != nil {
			return o, fmt.Errorf("unable to find group %s: %w: run qmail-setup", g.Name, err)
		}
	}
	return o, nil
}

// rights are an owner, a group and a mode.
type rights struct {
	user, group string
	mode        fs.FileMode
	// shared says that the group may be qmail's.
	shared bool
}

// Those of the files of messages.
var (
	rightsOfEntry = rights{user: "qmailq", group: "qmails", mode: 0o640}
	rightsOfInfo  = rights{user: "qmails", group: "qmails", mode: 0o600}
)

// bits returns a mode as the kernel has it.
func (r rights) bits() uint32 {
	bits := uint32(r.mode.Perm())
	if r.mode&fs.ModeSetgid != 0 {
		bits |= unix.S_ISGID
	}
	if r.mode&fs.ModeSticky != 0 {
		bits |= unix.S_ISVTX
	}
	return bits
}

// ids returns the numbers that a file is to have; -1 leaves what there is.
func (o Owners) ids(r rights) (uid, gid int) {
	uid, gid = -1, -1
	if n, known := o.UIDs[r.user]; known {
		uid = int(n)
	}
	if n, known := o.GIDs[r.group]; known {
		gid = int(n)
	}
	return uid, gid
}

// differ says how a file differs from what it is to be; nothing if it does not.
func (o Owners) differ(st *unix.Stat_t, want rights) string {
	uid, gid := o.ids(want)
	if shared, known := o.GIDs["qmail"]; want.shared && known && st.Gid == shared {
		gid = -1
	}
	mode := st.Mode & 0o7777
	switch {
	case uid >= 0 && int(st.Uid) != uid, gid >= 0 && int(st.Gid) != gid:
		return fmt.Sprintf("belongs to %d:%d, not to %s:%s", st.Uid, st.Gid, want.user, want.group)
	case mode != want.bits():
		return fmt.Sprintf("has mode %04o, not %04o", mode, want.bits())
	}
	return ""
}

// rightsFound compares a file, or a directory.
func (c *check) rightsFound(path string, st *unix.Stat_t, want rights) []Finding {
	what := c.Owners.differ(st, want)
	if what == "" {
		return nil
	}
	return []Finding{hands(path, WrongOwner, what, "it stays so: the suite may be unable to use it, or others may be able to",
		"run qmail-queuectl check --repair while the suite is stopped").with(remedy{rights: &want})}
}
