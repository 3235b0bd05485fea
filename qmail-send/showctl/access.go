package showctl

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"postrider/internal/accounts"
	"postrider/internal/priv"
	"postrider/internal/settings"
)

// mendSetup is what puts right what qmail-setup makes.
const mendSetup = "Run qmail-setup (make setup), which puts it right."

// access looks at users, groups, owners and modes.
func (i *inspector) access() {
	if i.in.Private {
		i.facts = append(i.facts, fmt.Sprintf("%s belongs to uid %d: every program runs as that user, and nothing is separated", i.home, i.in.UID))
		i.tree(nil, nil)
		return
	}
	users, groups := i.users()
	i.tree(users, groups)
	i.executables(groups["qmail"])
	for _, dir := range []string{"control", "users"} {
		i.writable(filepath.Join(i.home, dir))
	}
	for _, s := range settings.All() {
		i.readable(s)
	}
}

// users finds users and groups of the suite that are missing, or not its alone.
func (i *inspector) users() (users, groups map[string]uint32) {
	users, groups = map[string]uint32{"root": 0}, map[string]uint32{"root": 0}
	taken := map[uint32]string{0: "root"}
	for _, u := range priv.Users() {
		account, err := accounts.Lookup(u.Name)
		switch other := taken[account.UID]; {
		case err != nil:
			i.add(Finding{Error, accounts.PasswdFile, 0, fmt.Sprintf("there is no user %s: %v", u.Name, err), mendSetup})
			continue
		case other != "":
			i.add(Finding{Error, accounts.PasswdFile, 0, fmt.Sprintf("user %s has the uid %d of user %s: they are not separated, and qmail-start refuses that", u.Name, account.UID, other),
				"Remove the user with userdel, and run qmail-setup, which makes it anew."})
		default:
			taken[account.UID] = u.Name
		}
		users[u.Name] = account.UID
	}
	takenBy := map[uint32]string{0: "root"}
	for _, g := range priv.Groups() {
		gid, err := accounts.LookupGroup(g.Name)
		switch other := takenBy[gid]; {
		case err != nil:
			i.add(Finding{Error, accounts.GroupFile, 0, fmt.Sprintf("there is no group %s: %v", g.Name, err), mendSetup})
			continue
		case other != "":
			i.add(Finding{Error, accounts.GroupFile, 0, fmt.Sprintf("group %s has the gid %d of group %s: they are not separated, and qmail-start refuses that", g.Name, gid, other),
				"Remove the group with groupdel, and run qmail-setup, which makes it anew."})
		default:
			takenBy[gid] = g.Name
		}
		groups[g.Name] = gid
	}
	return users, groups
}

// tree compares what qmail-setup makes with what is there. Without users, it
// belongs to the owner of all.
func (i *inspector) tree(users, groups map[string]uint32) {
	for _, e := range priv.Tree() {
		path := filepath.Join(i.home, e.Path)
		var st unix.Stat_t
		err := unix.Lstat(path, &st)
		if err == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK && !strings.Contains(e.Path, "/") {
			err = unix.Stat(path, &st) // directly below Q a link is the administrator's
		}
		switch {
		case err == unix.EACCES && !i.root:
			i.add(Finding{Level: Unread, File: filepath.Dir(path), What: "you may not look into it", Mend: "Ask as root."})
			continue
		case err != nil:
			i.add(Finding{Error, bucket(path), 0, reason(&fs.PathError{Op: "find", Path: path, Err: err}), mendSetup})
			continue
		}
		if problem := i.entry(e, &st, users, groups); problem != "" {
			i.add(Finding{Error, bucket(path), 0, problem, mendSetup})
		}
	}
}

// bucket is one name for the hundred directories of a kind.
func bucket(path string) string {
	dir, name := filepath.Split(path)
	if len(name) == 2 && strings.Trim(name, "0123456789") == "" {
		return dir + "NN"
	}
	return path
}

// entry says what is wrong with what is there.
func (i *inspector) entry(e priv.Entry, st *unix.Stat_t, users, groups map[string]uint32) string {
	isFile := st.Mode&unix.S_IFMT == unix.S_IFREG
	if !isFile && st.Mode&unix.S_IFMT != unix.S_IFDIR || isFile != e.File {
		return "it is of the wrong kind: no directory, or no plain file"
	}
	mode := fs.FileMode(st.Mode & 0o777)
	if st.Mode&unix.S_ISGID != 0 {
		mode |= fs.ModeSetgid
	}
	if st.Mode&unix.S_ISVTX != 0 {
		mode |= fs.ModeSticky
	}
	wanted := fmt.Sprintf("; it has to be %s:%s %04o", e.User, e.Group, unixMode(e.Mode))
	if e.Keep {
		if mode&0o002 != 0 {
			return fmt.Sprintf("everybody may write into it (mode %04o)%s", unixMode(mode), wanted)
		}
		if users != nil && e.User == "root" && st.Uid != 0 {
			return fmt.Sprintf("it belongs to uid %d%s", st.Uid, wanted)
		}
		return ""
	}
	shared := e.Shared != 0 && users != nil && st.Gid == groups["qmail"]
	switch uid, known := users[e.User]; {
	case known && uid != st.Uid:
		return fmt.Sprintf("it belongs to uid %d%s", st.Uid, wanted)
	case mode != e.Mode && !(shared && mode == e.Shared):
		return fmt.Sprintf("it has the mode %04o%s", unixMode(mode), wanted)
	}
	if gid, known := groups[e.Group]; known && gid != st.Gid && !shared {
		return fmt.Sprintf("it belongs to the group %d%s", st.Gid, wanted)
	}
	return ""
}

// unixMode is a mode as chmod has it.
func unixMode(m fs.FileMode) uint32 {
	mode := uint32(m.Perm())
	if m&fs.ModeSetgid != 0 {
		mode |= 0o2000
	}
	if m&fs.ModeSticky != 0 {
		mode |= 0o1000
	}
	return mode
}

// executables looks at the programs of the suite.
func (i *inspector) executables(qmail uint32) {
	for _, role := range priv.Roles() {
		path := filepath.Join(i.home, "bin", role.Program)
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			i.add(Finding{Error, path, 0, "the program is missing: " + err.Error(), "Run make install."})
			continue
		}
		mode, want := st.Mode&0o7777, uint32(priv.Mode(role.Program))
		switch {
		case st.Mode&unix.S_IFMT != unix.S_IFREG:
			i.add(Finding{Error, path, 0, "it is no plain file", "Run make install."})
		case st.Uid != 0 || mode&0o022 != 0:
			i.add(Finding{Error, path, 0, fmt.Sprintf("others than root can change the program (uid %d, mode %04o)", st.Uid, mode), "Run make install and qmail-setup; find out who has changed it."})
		case mode&0o6000 != 0:
			i.add(Finding{Error, path, 0, fmt.Sprintf("it is setuid or setgid (mode %04o): no program of the suite is", mode), mendSetup})
		case mode != want:
			i.add(Finding{Warning, path, 0, fmt.Sprintf("it has the mode %04o and not %04o", mode, want), mendSetup})
		}
	}
}

// writable finds files that others than root can change: who can has the mail.
func (i *inspector) writable(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		i.unreadable(dir, err)
		return
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		var st unix.Stat_t
		if unix.Lstat(path, &st) != nil || st.Mode&unix.S_IFMT == unix.S_IFLNK {
			continue
		}
		switch {
		case st.Mode&0o002 != 0:
			i.add(Finding{Error, path, 0, fmt.Sprintf("everybody may change it (mode %04o)", st.Mode&0o7777), "chmod o-w " + path})
		case st.Mode&0o020 != 0 && st.Gid != 0:
			i.add(Finding{Warning, path, 0, fmt.Sprintf("the group %d may change it (mode %04o)", st.Gid, st.Mode&0o7777), "chmod g-w " + path})
		}
	}
}

// readable checks that the programs which read a setting may do so.
func (i *inspector) readable(s settings.Setting) {
	if i.in.Private {
		return
	}
	var file, dir unix.Stat_t
	if unix.Stat(i.path(s.Name), &file) != nil || unix.Stat(string(i.dir), &dir) != nil {
		return // not there; or told
	}
	var cannot []string
	for _, program := range s.Readers() {
		id, known := i.identity(program)
		if known && !(may(id, &file, 4) && may(id, &dir, 1)) {
			cannot = append(cannot, program)
		}
	}
	if len(cannot) == 0 {
		return
	}
	mend := "chmod 644 " + i.path(s.Name)
	if s.Secret == settings.AllSecret {
		mend = "chown qmailr " + i.path(s.Name) + " && chmod 600 " + i.path(s.Name)
	}
	i.errorIn(s.Name, 0, fmt.Sprintf("%s may not read it (mode %04o, uid %d)", strings.Join(cannot, ", "), file.Mode&0o7777, file.Uid), mend)
}

// identity returns whom a program runs as; one without a role, or without a user
// of its own, is anybody.
func (i *inspector) identity(program string) (priv.Identity, bool) {
	role, known := priv.RoleOf(program)
	if !known || role.User == "" {
		return priv.Identity{UID: ^uint32(0), GID: ^uint32(0)}, !slices.Contains(byRoot, program)
	}
	role, err := i.in.Chosen(role)
	if err != nil {
		return priv.Identity{}, false
	}
	id, err := role.Identity()
	return id, err == nil
}

// byRoot are programs that root starts, as a rule.
var byRoot = []string{"newaliases", "qmail-explain", "qmail-pw2u", "qmail-qread", "qmail-queuectl", "qmail-qmqpc"}

// may reports whether an identity has a right, 4 read or 1 search.
func may(id priv.Identity, st *unix.Stat_t, right uint32) bool {
	switch {
	case id.UID == 0:
		return true
	case id.UID == st.Uid:
		return st.Mode>>6&right != 0
	case id.GID == st.Gid || slices.Contains(id.Groups, st.Gid):
		return st.Mode>>3&right != 0
	}
	return st.Mode&right != 0
}
