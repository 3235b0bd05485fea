package priv

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// onMachine calls f in a thread for which /etc/passwd and /etc/group say this.
// f may not end the test.
func onMachine(t *testing.T, passwd, group string, f func()) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can mount")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"passwd": passwd, "group": group} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	OwnThread(func() {
		err := errors.Join(unix.Unshare(unix.CLONE_FS|unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
		for _, name := range []string{"passwd", "group"} {
			err = errors.Join(err, unix.Mount(filepath.Join(dir, name), "/etc/"+name, "", unix.MS_BIND, ""))
		}
		if err != nil {
			t.Error(err)
			return
		}
		f()
	})
}

// The numbers of the suite's users and groups in these tests: in their order.
const (
	firstUID = 7000
	firstGID = 8000
)

// suitePasswd and suiteGroup are the files of a machine with the suite's users.
func suitePasswd() string {
	text := "root:x:0:0::/root:/bin/sh\njoe:x:1000:100::/home/joe:/bin/sh\n"
	for i, u := range Users() {
		text += fmt.Sprintf("%s:x:%d:%d::/:/bin/false\n", u.Name, firstUID+i, firstGID)
	}
	return text
}

func suiteGroup() string {
	text := "root:x:0:\ndisk:x:6:\nshadow:x:42:\nusers:x:100:\n"
	for i, g := range Groups() {
		text += fmt.Sprintf("%s:x:%d:\n", g.Name, firstGID+i)
	}
	return text
}

func uidOf(name string) uint32 {
	return firstUID + uint32(slices.IndexFunc(Users(), func(u User) bool { return u.Name == name }))
}

func gidOf(name string) uint32 {
	return firstGID + uint32(slices.IndexFunc(Groups(), func(g Group) bool { return g.Name == name }))
}

// without leaves out the line of a name.
func without(text, name string) string {
	lines := slices.DeleteFunc(strings.SplitAfter(text, "\n"), func(line string) bool { return strings.HasPrefix(line, name+":") })
	return strings.Join(lines, "")
}

// failsFor complains unless err names what is wrong.
func failsFor(t *testing.T, what string, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", what)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v does not say %q", what, err, word)
		}
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	spool, _ := RoleOf("qmail-spool")
	onMachine(t, suitePasswd(), suiteGroup(), func() {
		id, err := spool.Identity()
		if err != nil || id.UID != uidOf("qmailq") || id.GID != gidOf("qmails") || !slices.Equal(id.Groups, []uint32{gidOf("qmailq")}) {
			t.Errorf("%+v, %v", id, err)
		}
		// Whom the administrator chose has his own group.
		id, err = Role{User: "joe"}.Identity()
		if err != nil || id.UID != 1000 || id.GID != 100 || id.Groups == nil || len(id.Groups) != 0 {
			t.Errorf("%+v, %v", id, err)
		}
	})
	for _, missing := range []string{"qmailq", "qmails"} {
		onMachine(t, without(suitePasswd(), "qmailq"), suiteGroup(), func() {
			_, err := spool.Identity()
			failsFor(t, "no user", err, "user qmailq", "make setup")
		})
		onMachine(t, suitePasswd(), without(suiteGroup(), missing), func() {
			id, err := spool.Identity()
			failsFor(t, "no group", err, "group "+missing, "make setup")
			if id.UID != 0 || id.Groups != nil {
				t.Errorf("an identity all the same: %+v", id)
			}
		})
	}
}

// Invariant 5.
func TestCheckUsers(t *testing.T) {
	t.Parallel()
	number := func(text string, of, as uint32) string {
		return strings.ReplaceAll(text, fmt.Sprintf(":%d:", of), fmt.Sprintf(":%d:", as))
	}
	for _, c := range []struct {
		name, passwd, group string
		want                []string
	}{
		{"sound", suitePasswd(), suiteGroup(), nil},
		{"one uid for two", number(suitePasswd(), uidOf("qmailr"), uidOf("qmailq")), suiteGroup(), []string{"user qmailr", "user qmailq", fmt.Sprint(uidOf("qmailq"))}},
		{"root's uid", number(suitePasswd(), uidOf("qmaild"), 0), suiteGroup(), []string{"user qmaild", "user root"}},
		{"one gid for two", suitePasswd(), number(suiteGroup(), gidOf("qmails"), gidOf("qmailq")), []string{"group qmails", "group qmailq"}},
		{"root's gid", suitePasswd(), number(suiteGroup(), gidOf("qmail"), 0), []string{"group qmail", "group root"}},
		{"no user", without(suitePasswd(), "qmailw"), suiteGroup(), []string{"unable to find user qmailw"}},
		{"no group", suitePasswd(), without(suiteGroup(), "nofiles"), []string{"unable to find group nofiles"}},
	} {
		onMachine(t, c.passwd, c.group, func() {
			err := CheckUsers()
			if c.want != nil {
				failsFor(t, c.name, err, c.want...)
			} else if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		})
	}
}

func TestFindNobodies(t *testing.T) {
	t.Parallel()
	onMachine(t, without(suitePasswd(), "qmailt"), without(suiteGroup(), "qmailm"), func() {
		n, err := FindNobodies(500)
		if err != nil || n.Below != 500 {
			t.Errorf("%+v, %v", n, err)
		}
		var uids []uint32
		gids := []uint32{0, 0, 6, 42} // there is no kmem
		for _, u := range Users() {
			if u.Name != "alias" && u.Name != "qmailt" {
				uids = append(uids, uidOf(u.Name))
			}
		}
		for _, g := range Groups() {
			if g.Name != "nofiles" && g.Name != "qmailm" {
				gids = append(gids, gidOf(g.Name))
			}
		}
		if !slices.Equal(n.UIDs, uids) || !slices.Equal(n.GIDs, gids) {
			t.Errorf("%v, %v; want %v, %v", n.UIDs, n.GIDs, uids, gids)
		}
		for id, want := range map[[2]uint32]bool{
			{0, 100}: true, {499, 100}: true, {500, 100}: false, {1000, 100}: false, {1000, 0}: true, {1000, 42}: true,
			{uidOf("qmailq"), 100}: true, {uidOf("alias"), gidOf("nofiles")}: false, {1000, gidOf("qmail")}: true,
		} {
			if got := n.Has(id[0], id[1]); got != want {
				t.Errorf("uid %d, gid %d: %v", id[0], id[1], got)
			}
		}
		if !(Nobodies{}).Has(0, 1) {
			t.Error("root is somebody where nothing is said")
		}
	})
	// What cannot be read is not taken for a machine without such users.
	onMachine(t, suitePasswd()+"joe:", suiteGroup(), func() {
		if _, err := FindNobodies(500); err != nil {
			t.Errorf("users that are there: %v", err)
		}
	})
	onMachine(t, without(suitePasswd(), "qmailt")+"joe:", suiteGroup(), func() {
		_, err := FindNobodies(500)
		failsFor(t, "passwd is being written", err, "/etc/passwd")
	})
	for _, files := range []string{"", suitePasswd()} {
		onMachine(t, "", "", func() {
			err := unix.Mount("none", "/etc", "tmpfs", 0, "")
			if files != "" {
				err = errors.Join(err, os.WriteFile("/etc/passwd", []byte(files), 0o644))
			}
			if err != nil {
				t.Error(err)
			}
			if _, err := FindNobodies(500); !errors.Is(err, unix.ENOENT) || strings.Contains(err.Error(), "/etc/group") != (files != "") {
				t.Errorf("without the files: %v", err)
			}
		})
	}
}

// In root's installation the table counts, in somebody's own that user.
func TestRecipients(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, "control"), 0o755); err != nil {
		t.Fatal(err)
	}
	put := func(name, text string) {
		if err := os.WriteFile(filepath.Join(home, "control", name), []byte(text), 0o644); err != nil {
			t.Error(err)
		}
	}
	in := Installation{Home: home}
	onMachine(t, suitePasswd(), suiteGroup(), func() {
		r, n, err := in.Recipients()
		if err != nil || r.MinimumUID != MinimumUID || n.Below != MinimumUID || !n.Has(uidOf("qmailq"), 100) || r.Alias != "alias" || r.Break != "-" || r.Private != nil {
			t.Errorf("%+v, %+v, %v", r, n, err)
		}
		if found, err := r.ByPasswd("nobody-knows"); err != nil || found.UID != uidOf("alias") {
			t.Errorf("who gets what nobody owns: %+v, %v", found, err)
		}
		put("localuidmin", "2000\n")
		put("break", "+\n")
		r, n, err = in.Recipients()
		if err != nil || r.MinimumUID != 2000 || n.Below != 2000 || r.Break != "+" {
			t.Errorf("%+v, %+v, %v", r, n, err)
		}
		own := Installation{Home: home, Private: true, UID: 1000}
		r, n, err = own.Recipients()
		if err != nil || r.MinimumUID != 0 || r.Private == nil || r.Private.UID != 1000 || r.Private.Home != home+"/alias" || n.Below != 0 || n.UIDs != nil {
			t.Errorf("%+v, %+v, %v", r, n, err)
		}
		put("break", "a\n")
		_, _, err = in.Recipients()
		failsFor(t, "a letter", err, "break")
		put("localuidmin", "99999999999999999999\n")
		_, _, err = in.Recipients()
		failsFor(t, "no number", err, "localuidmin")
		elsewhere := Installation{Home: home, Control: t.TempDir()}
		if r, _, err := elsewhere.Recipients(); err != nil || r.MinimumUID != MinimumUID {
			t.Errorf("control files elsewhere: %+v, %v", r, err)
		}
	})
}

func TestChosen(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, "control"), 0o755); err != nil {
		t.Fatal(err)
	}
	in := Installation{Home: home}
	for _, c := range []struct{ program, file string }{{"qmail-checkpass", "checkpassuser"}, {"qmail-vlookup", "vpopmailuser"}} {
		role, _ := RoleOf(c.program)
		role.Groups = []string{"qmail"}
		choose := func(in Installation, text string) (Role, error) {
			if err := os.WriteFile(filepath.Join(home, "control", c.file), []byte(text), 0o644); err != nil {
				t.Error(err)
			}
			return in.Chosen(role)
		}
		onMachine(t, suitePasswd(), suiteGroup(), func() {
			if got, err := in.Chosen(role); err != nil || got.User != role.User || got.Group != role.Group {
				t.Errorf("nobody is chosen: %s, %v", got.User, err)
			}
			for _, same := range []string{"\n", role.User + "\n"} {
				if got, err := choose(in, same); err != nil || got.User != role.User || got.Group != role.Group || len(got.Groups) != 1 {
					t.Errorf("%q: %s, %v", same, got.User, err)
				}
			}
			if name, err := in.ChosenUser(role); err != nil || name != role.User {
				t.Errorf("%q, %v", name, err)
			}
			if got, err := choose(in, "joe\n"); err != nil || got.User != "joe" || got.Group != "" || got.Groups != nil || len(got.Caps) != 0 {
				t.Errorf("joe: %+v, %v", got, err)
			}
			if got, err := choose(Installation{Home: home, Private: true}, "joe\n"); err != nil || got.User != role.User {
				t.Errorf("in a private installation: %+v, %v", got, err)
			}
			for _, u := range Users() {
				if u.Name != role.User {
					_, err := choose(in, u.Name+"\n")
					failsFor(t, u.Name, err, c.file, u.Name+" is a user of the suite")
				}
			}
			_, err := choose(in, "nobody\n")
			failsFor(t, "somebody who is not there", err, c.file, "nobody")
			got, err := choose(in, "root\n")
			if role.Confined {
				failsFor(t, "root", err, c.file, "root")
			} else if err != nil || got.User != "root" || !slices.Equal(got.Caps, []uintptr{unix.CAP_SETUID, unix.CAP_SETGID}) {
				t.Errorf("root: %+v, %v", got, err)
			}
			_, err = choose(in, "a\x00\n")
			failsFor(t, "a NUL", err, c.file)
		})
		onMachine(t, without(suitePasswd(), "qmailn"), suiteGroup(), func() {
			_, err := choose(in, "joe\n")
			failsFor(t, "a suite without a user", err, c.file)
		})
	}
	other, _ := RoleOf("qmail-send")
	if name, err := in.ChosenUser(other); name != "" || err != nil {
		t.Errorf("%q, %v", name, err)
	}
}

// become gives this thread, and no other, an identity.
func become(t *testing.T, uid, gid uint32, groups ...uint32) {
	t.Helper()
	call := func(trap, a, b, c uintptr) {
		if _, _, errno := unix.RawSyscall(trap, a, b, c); errno != 0 {
			t.Error(errno)
		}
	}
	groups = append(groups, 0) // to have an address
	call(unix.SYS_SETGROUPS, uintptr(len(groups)-1), address(groups), 0)
	call(unix.SYS_SETRESGID, uintptr(gid), uintptr(gid), uintptr(gid))
	call(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid))
}

// Invariant 1: every row wants its own identity, and nothing else will do.
func TestCheck(t *testing.T) {
	t.Parallel()
	in := Installation{Home: "/nowhere"}
	send, _ := RoleOf("qmail-send")
	spool, _ := RoleOf("qmail-spool")
	lspawn, _ := RoleOf("qmail-lspawn")
	start, _ := RoleOf("qmail-start")
	local, _ := RoleOf("qmail-local")
	for _, c := range []struct {
		name     string
		role     Role
		uid, gid uint32
		groups   []uint32
		want     []string
	}{
		{"as the table says", send, uidOf("qmails"), gidOf("qmails"), nil, nil},
		{"with the group of the table", spool, uidOf("qmailq"), gidOf("qmails"), []uint32{gidOf("qmailq")}, nil},
		{"without it", spool, uidOf("qmailq"), gidOf("qmails"), nil, []string{"qmailq:qmails", "qmail-start"}},
		{"another user", send, uidOf("qmailq"), gidOf("qmails"), nil, []string{fmt.Sprint("uid ", uidOf("qmailq")), "qmails:qmails"}},
		{"another group", send, uidOf("qmails"), gidOf("qmail"), nil, []string{"qmails:qmails"}},
		{"root", send, 0, 0, nil, []string{"qmails:qmails"}},
		{"without the capabilities", lspawn, uidOf("qmailw"), gidOf("nofiles"), nil, []string{"capabilities 0x0", "0xe0"}},
		{"root starts", start, 0, 0, nil, nil},
		{"somebody starts", start, 1000, 100, nil, []string{"uid 1000", "/nowhere", "as root"}},
		{"a recipient", local, 1000, 100, nil, nil},
		{"a recipient with a group", local, 1000, 100, []uint32{6}, []string{"groups [6]"}},
	} {
		onMachine(t, suitePasswd(), suiteGroup(), func() {
			become(t, c.uid, c.gid, c.groups...)
			err := in.check(c.role)
			if c.want != nil {
				failsFor(t, c.name, err, c.want...)
			} else if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		})
	}
	onMachine(t, without(suitePasswd(), "qmails"), suiteGroup(), func() {
		failsFor(t, "no such user", in.check(send), "user qmails")
	})
}

// Root uses files of others with their rights, in a thread that is gone
// afterwards.
func TestForFiles(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "f")
	create := func() error {
		unix.Umask(0o077)
		f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o666)
		if err == nil {
			err = errors.Join(f.Close(), os.Chdir("/proc"))
		}
		return err
	}
	if err := ForFiles(&Identity{UID: 1000, GID: 100}, create); !errors.Is(err, os.ErrPermission) {
		t.Errorf("in root's directory: %v", err)
	}
	if err := ForFiles(nil, create); err != nil {
		t.Error(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if here, err := os.Getwd(); err != nil || here == "/proc" {
		t.Errorf("this thread is in %s, %v", here, err)
	}
	if err := errors.Join(os.Remove(path), os.Chown(dir, 1000, 100), os.Chmod(filepath.Dir(dir), 0o755)); err != nil {
		t.Fatal(err)
	}
	if err := ForFiles(&Identity{UID: 1000, GID: 100}, create); err != nil {
		t.Error(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil || st.Uid != 1000 || st.Gid != 100 {
		t.Errorf("owned by %d:%d, %v", st.Uid, st.Gid, err)
	}
	for _, id := range []Identity{{UID: 1001, GID: 100}, {UID: 1000, GID: 101}} {
		OwnThread(func() {
			become(t, 1000, 100)
			failsFor(t, "without the right to", becomeForFiles(id), fmt.Sprint("uid ", id.UID))
		})
	}
}

// Who may not lower the bounding set starts what it starts all the same.
func TestBoundWithoutTheRight(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can give capabilities up")
	}
	OwnThread(func() {
		become(t, 1000, 100)
		own := boundingSet()
		if err := dropBounds(nil); err != nil || boundingSet() != own {
			t.Errorf("%#x, was %#x, %v", boundingSet(), own, err)
		}
	})
	for bit := range unboundedBy(nil) {
		if bit != 0 {
			t.Errorf("the first is %d", bit)
		}
		break
	}
	fault := errors.New("no program")
	if err := Bound(nil, func() error { return fault }); err != fault {
		t.Errorf("what did not start: %v", err)
	}
}
