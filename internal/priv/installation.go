package priv

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"postrider/internal/accounts"
	"postrider/internal/control"
)

// Installation is what stands at a qmail home directory.
type Installation struct {
	Home string
	// Private says that Home belongs to the ordinary user UID, who then is
	// every role.
	Private bool
	UID     uint32
	// Control is where the control files are, if it is not Home/control.
	Control string
}

// control is where the control files are.
func (in Installation) control() control.Dir {
	if in.Control != "" {
		return control.Dir(in.Control)
	}
	return control.Dir(filepath.Join(in.Home, "control"))
}

// Examine looks whose the qmail home directory is.
func Examine(home string) (Installation, error) {
	st, err := os.Stat(home)
	if err != nil {
		return Installation{}, fmt.Errorf("%w: run make install and make setup first", err)
	}
	if !st.IsDir() {
		return Installation{}, fmt.Errorf("%s is no directory", home)
	}
	owner := st.Sys().(*syscall.Stat_t).Uid
	return Installation{Home: home, Private: owner != 0, UID: owner}, nil
}

// Identity is what a process of a separated installation is started with.
type Identity struct {
	UID, GID uint32
	Groups   []uint32
}

// Identity looks up the names of a row. The row must name a user.
func (r Role) Identity() (Identity, error) {
	uid, err := lookupUser(r.User)
	if err != nil {
		return Identity{}, err
	}
	id := Identity{UID: uid, Groups: []uint32{}}
	if r.Group == "" {
		account, err := accounts.Lookup(r.User)
		id.GID = account.GID
		return id, err
	}
	if id.GID, err = lookupGroup(r.Group); err != nil {
		return Identity{}, err
	}
	for _, name := range r.Groups {
		gid, err := lookupGroup(name)
		if err != nil {
			return Identity{}, err
		}
		id.Groups = append(id.Groups, gid)
	}
	return id, nil
}

func lookupUser(name string) (uint32, error) {
	account, err := accounts.Lookup(name)
	if err != nil {
		return 0, fmt.Errorf("unable to find user %s: %w: run make setup", name, err)
	}
	return account.UID, nil
}

func lookupGroup(name string) (uint32, error) {
	gid, err := accounts.LookupGroup(name)
	if err != nil {
		return 0, fmt.Errorf("unable to find group %s: %w: run make setup", name, err)
	}
	return gid, nil
}

// CheckUsers refuses accounts that would join what the table separates
// (invariant 5).
func CheckUsers() error {
	byUID := map[uint32]string{0: "root"}
	for _, u := range Users() {
		uid, err := lookupUser(u.Name)
		if err != nil {
			return err
		}
		if other, taken := byUID[uid]; taken {
			return fmt.Errorf("user %s has the uid %d of user %s: each needs its own", u.Name, uid, other)
		}
		byUID[uid] = u.Name
	}
	byGID := map[uint32]string{0: "root"}
	for _, g := range Groups() {
		gid, err := lookupGroup(g.Name)
		if err != nil {
			return err
		}
		if other, taken := byGID[gid]; taken {
			return fmt.Errorf("group %s has the gid %d of group %s: each needs its own", g.Name, gid, other)
		}
		byGID[gid] = g.Name
	}
	return nil
}

// dir returns the working directory of a role.
func (in Installation) dir(r Role) string {
	if filepath.IsAbs(r.Dir) {
		return r.Dir
	}
	return filepath.Join(in.Home, r.Dir)
}

// sameGroups compares supplementary groups as sets.
func sameGroups(a, b []uint32) bool {
	sorted := func(s []uint32) []uint32 {
		s = slices.Clone(s)
		slices.Sort(s)
		return slices.Compact(s)
	}
	return slices.Equal(sorted(a), sorted(b))
}
