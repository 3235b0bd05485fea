package accounts

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/internal/cdb"
)

// testUID is a uid that can own files made by this test.
func testUID(t testing.TB, paths ...string) uint32 {
	t.Helper()
	if os.Getuid() != 0 {
		return uint32(os.Getuid())
	}
	const uid = 54321
	for _, path := range paths {
		if err := os.Chown(path, uid, uid); err != nil {
			t.Fatal(err)
		}
	}
	return uid
}

func writeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestPasswdLookup(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "passwd")
	writeFile(t, path, "root:x:0:0:root:/root:/bin/sh\n"+
		"joe:x:1001:1002:Joe, room 5:/home/joe:/bin/sh\n"+
		"joe:x:1:1::/second:/bin/sh\n"+
		"+nis:x:1:1::/:\n"+
		"broken:x:abc:1::/:\n"+
		"nobody4:x:4294967295:1::/:\n"+
		"short:x:5\n"+
		"no colon at all\n\n:x:1:1::/:\n"+
		"last:x:7:8::/last:")
	p := NewPasswd(path)
	for name, want := range map[string]Account{
		"root": {"root", 0, 0, "/root", "/bin/sh"},
		"joe":  {"joe", 1001, 1002, "/home/joe", "/bin/sh"},
		"last": {"last", 7, 8, "/last", ""},
	} {
		if got, err := p.Lookup(name); got != want || err != nil {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	for _, name := range []string{"", "jo", "joe2", "JOE", "+nis", "broken", "nobody4", "short", "joe:x", "no colon at all"} {
		if got, err := p.Lookup(name); !errors.Is(err, ErrUnknown) {
			t.Errorf("%q: got %+v, %v", name, got, err)
		}
	}
}

func TestPasswdFollowsTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "passwd")
	p := NewPasswd(path)
	if _, err := p.Lookup("joe"); err == nil || errors.Is(err, ErrUnknown) {
		t.Errorf("missing file: got %v, want trouble", err)
	}
	writeFile(t, path, "joe:x:1:1::/a:\n")
	if a, err := p.Lookup("joe"); err != nil || a.Home != "/a" {
		t.Errorf("got %+v, %v", a, err)
	}
	writeFile(t, path+".new", "joe:x:1:1::/b:\n")
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	if a, err := p.Lookup("joe"); err != nil || a.Home != "/b" {
		t.Errorf("after replacement: got %+v, %v", a, err)
	}
	writeFile(t, path, "jim:x:1:1::/b:\n")
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Lookup("joe"); !errors.Is(err, ErrUnknown) {
		t.Errorf("after a change in place: got %v", err)
	}
}

// Whoever writes passwd in place has it cut for a moment: who is not in it then
// may be in what is still to come.
func TestCutPasswdIsTrouble(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		cut  bool
	}{
		{"joe:x:1:1::/a:\njim:x:1", true},
		{"joe:x:1:1::/a:\nj", true},
		{"joe:x:1:1::/a:", false}, // only its LF is missing
		{"joe:x:1:1::/a:\n+", false},
		{"joe:x:1:1::/a:\n-jim", false},
		{"joe:x:1:1::/a:\nbad:line\n", false},
	} {
		path := filepath.Join(t.TempDir(), "passwd")
		writeFile(t, path, c.text)
		p := NewPasswd(path)
		if _, err := p.Lookup("joe"); err != nil {
			t.Errorf("%q: who is there: got %v", c.text, err)
		}
		for _, name := range []string{"jim", "jack"} {
			if _, err := p.Lookup(name); errors.Is(err, ErrUnknown) == c.cut {
				t.Errorf("%q: %s: got %v", c.text, name, err)
			}
		}
	}
}

func TestLookupGroup(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "group")
	writeFile(t, path, "qmail:x:2107:\nnofiles:x:2108:joe,jim\nbad:x:y:\nshort:x\n")
	if gid, err := lookupGroup(path, "nofiles"); gid != 2108 || err != nil {
		t.Errorf("got %d, %v", gid, err)
	}
	for _, name := range []string{"none", "bad", "short", ""} {
		if _, err := lookupGroup(path, name); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func usersDB(t testing.TB, records ...[2]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cdb")
	err := cdb.Replace(path, path+".tmp", 0o644, func(w *cdb.Writer) error {
		for _, r := range records {
			if err := w.Add([]byte(r[0]), []byte(r[1])); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func user(fields ...string) string { return strings.Join(fields, "\x00") }

func TestUsersDB(t *testing.T) {
	t.Parallel()
	db := NewUsersDB(usersDB(t,
		[2]string{"!joe.shmoe\x00", user("joe", "1001", "1002", "/home/joe", "", "")},
		[2]string{"!bob-", user("bob", "1003", "1003", "/home/bob", "-", "")},
		[2]string{"!bob-sub-", user("bob", "1003", "1003", "/home/bob", "-", "sub/")},
		[2]string{"!bob-x", user("never", "1", "1", "/", "", "")}, // x is no wildcard byte
		[2]string{"!dom-", user("dom", "89", "89", "/home/vpopmail/domains/dom", "-", "")},
		[2]string{"!", user("alias", "7790", "2108", "/var/qmail/alias", "-", "")},
		[2]string{"!root\x00", user("root", "0", "0", "/root", "", "")},
		[2]string{"!bad\x00", user("bad", "x", "0", "/", "", "")},
		[2]string{"!few\x00", user("few", "1")},
		[2]string{"!rel\x00", user("rel", "1", "1", "home", "", "")},
		[2]string{"", "-"}))
	for _, c := range []struct {
		local string
		want  Recipient
	}{
		{"joe.shmoe", Recipient{"joe", 1001, 1002, "/home/joe", "", ""}},
		{"Joe.Shmoe", Recipient{"joe", 1001, 1002, "/home/joe", "", ""}},
		{"BOB-Ext-2", Recipient{"bob", 1003, 1003, "/home/bob", "-", "Ext-2"}},
		{"bob-", Recipient{"bob", 1003, 1003, "/home/bob", "-", ""}},
		{"bob-SUB-Q", Recipient{"bob", 1003, 1003, "/home/bob", "-", "sub/Q"}},
		{"bob-x", Recipient{"bob", 1003, 1003, "/home/bob", "-", "x"}},
		{"dom-Info", Recipient{"dom", 89, 89, "/home/vpopmail/domains/dom", "-", "Info"}},
		{"bob", Recipient{"alias", 7790, 2108, "/var/qmail/alias", "-", "bob"}},
		{"Any.One", Recipient{"alias", 7790, 2108, "/var/qmail/alias", "-", "Any.One"}},
		{"root", Recipient{"root", 0, 0, "/root", "", ""}}, // the caller refuses it
	} {
		if got, err := db.Lookup(c.local); got != c.want || err != nil {
			t.Errorf("%s: got %+v, %v", c.local, got, err)
		}
	}
	for _, local := range []string{"bad", "few", "rel"} {
		if _, err := db.Lookup(local); !errors.Is(err, ErrUsersDB) {
			t.Errorf("%s: got %v", local, err)
		}
	}
}

func TestUsersDBTrouble(t *testing.T) {
	t.Parallel()
	if _, err := NewUsersDB(filepath.Join(t.TempDir(), "none")).Lookup("joe"); !errors.Is(err, ErrUnknown) {
		t.Errorf("missing: got %v", err)
	}
	damaged := filepath.Join(t.TempDir(), "cdb")
	writeFile(t, damaged, "not a database")
	if _, err := NewUsersDB(damaged).Lookup("joe"); !errors.Is(err, ErrUsersDB) {
		t.Errorf("damaged: got %v", err)
	}
	// The record of the empty key must exist (spec section 3.4).
	noList := usersDB(t, [2]string{"!", user("alias", "1", "1", "/", "-", "")})
	zeroes := filepath.Join(t.TempDir(), "zeroes")
	writeFile(t, zeroes, strings.Repeat("\x00", 4096))
	nowhere := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("missing", nowhere); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{noList, zeroes, nowhere} {
		if _, err := NewUsersDB(path).Lookup("joe"); !errors.Is(err, ErrUsersDB) {
			t.Errorf("%s: got %v", filepath.Base(path), err)
		}
	}
}

func TestGetpwRules(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	homes := map[string]string{}
	for _, name := range []string{"joe", "joe-list", "upper", "stolen", "low"} {
		homes[name] = filepath.Join(dir, name)
		if err := os.Mkdir(homes[name], 0o755); err != nil {
			t.Fatal(err)
		}
	}
	uid := testUID(t, homes["joe"], homes["joe-list"], homes["upper"], homes["low"])
	passwd := filepath.Join(dir, "passwd")
	line := func(name string, uid uint32, home string) string {
		return fmt.Sprintf("%s:x:%d:%d::%s:/bin/sh\n", name, uid, uid, home)
	}
	long := strings.Repeat("l", 32)
	writeFile(t, passwd, line("alias", 7790, "/var/qmail/alias")+line("root", 0, "/root")+
		line("joe", uid, homes["joe"])+line("joe-list", uid, homes["joe-list"])+line("Upper", uid, homes["upper"])+
		line("stolen", uid+1, homes["stolen"])+line("nohome", uid, dir+"/none")+line(long, uid, homes["joe"])+
		line("relative", uid, "."))
	r := &Resolver{UsersDB: NewUsersDB(dir + "/nocdb"), Passwd: NewPasswd(passwd), Alias: AliasUser, Break: DefaultBreak}
	alias := func(ext string) Recipient { return Recipient{"alias", 7790, 7790, "/var/qmail/alias", "-", ext} }
	joe := func(dash, ext string) Recipient { return Recipient{"joe", uid, uid, homes["joe"], dash, ext} }
	for _, c := range []struct {
		name, local string
		want        Recipient
	}{
		{"whole local part", "joe", joe("", "")},
		{"any case", "JOE", joe("", "")},
		{"extension", "Joe-Ext-2", joe("-", "Ext-2")},
		{"empty extension", "joe-", joe("-", "")},
		{"longer user wins", "joe-list", Recipient{"joe-list", uid, uid, homes["joe-list"], "", ""}},
		{"longer user with extension", "joe-list-a", Recipient{"joe-list", uid, uid, homes["joe-list"], "-", "a"}},
		{"uid 0 is nobody", "root", alias("root")},
		{"home of another", "stolen", alias("stolen")},
		{"no home", "nohome", alias("nohome")},
		{"relative home", "relative", alias("relative")},
		{"upper-case account", "Upper", alias("Upper")},
		{"name too long", long, alias(long)},
		{"extension may be long", "joe-" + long, joe("-", long)},
		{"starts with the break", "-joe", alias("-joe")},
	} {
		if got, err := r.Resolve(c.local); got != c.want || err != nil {
			t.Errorf("%s: got %+v, %v", c.name, got, err)
		}
	}
	r.MinimumUID = uid + 1
	if got, err := r.Resolve("joe"); got != alias("joe") || err != nil {
		t.Errorf("below the minimum: got %+v, %v", got, err)
	}
	r.MinimumUID = 0
	r.Private = &Account{Name: "own", UID: uid + 1, GID: 5, Home: "/q/alias"}
	for _, local := range []string{"joe", "nobody"} {
		want := Recipient{"own", uid + 1, 5, "/q/alias", "-", local}
		if got, err := r.Resolve(local); got != want || err != nil {
			t.Errorf("private installation, %s: got %+v, %v", local, got, err)
		}
	}
	r.Private = nil
	r.Alias = "none"
	if _, err := r.Resolve("nobody"); !errors.Is(err, ErrNoAlias) {
		t.Errorf("no alias account: got %v", err)
	}
	r.Passwd = NewPasswd(dir + "/missing")
	if _, err := r.Resolve("joe"); err == nil || errors.Is(err, ErrUnknown) || errors.Is(err, ErrNoAlias) {
		t.Errorf("unreadable passwd must be trouble: got %v", err)
	}
}

func TestUsersDBComesFirst(t *testing.T) {
	t.Parallel()
	passwd := filepath.Join(t.TempDir(), "passwd")
	writeFile(t, passwd, "alias:x:7790:7790::/var/qmail/alias:\n")
	path := usersDB(t, [2]string{"!joe\x00", user("virtual", "89", "89", "/v", "-", "joe")}, [2]string{"", ""})
	r := &Resolver{UsersDB: NewUsersDB(path), Passwd: NewPasswd(passwd), Alias: AliasUser, Break: DefaultBreak}
	if got, err := r.Resolve("joe"); got.User != "virtual" || err != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := r.Resolve("jim"); got.User != "alias" || got.Ext != "jim" || err != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	writeFile(t, path, "damaged")
	if _, err := r.Resolve("jim"); !errors.Is(err, ErrUsersDB) {
		t.Errorf("damage must not fall through: got %v", err)
	}
}

func FuzzUsersRecord(f *testing.F) {
	f.Add([]byte(user("joe", "1001", "1002", "/home/joe", "-", "x")))
	f.Add([]byte(user("joe", "-1", "4294967296", "", "", "") + "\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseUser(data)
		if err == nil && (r.User == "" || r.UID == 1<<32-1 || r.GID == 1<<32-1 || !strings.HasPrefix(r.Home, "/")) {
			t.Errorf("accepted %+v", r)
		}
	})
}

func FuzzPasswd(f *testing.F) {
	f.Add([]byte("root:x:0:0:root:/root:/bin/sh\njoe:x:1:1::/:\n"))
	f.Add([]byte(":::\n+:\n\n\x00:"))
	f.Fuzz(func(t *testing.T, data []byte) {
		all := newLines(data, stamp{})
		first := map[string]string{} // the same by a plain scan
		for line := range strings.SplitSeq(string(data), "\n") {
			name, _, ok := strings.Cut(line, ":")
			if _, seen := first[name]; ok && !seen && name != "" && name[0] != '+' && name[0] != '-' {
				first[name] = line
			}
		}
		for name, want := range first {
			if got, _, err := all.line(name); got != want || err != nil {
				t.Errorf("%q: got %q, %v; want %q", name, got, err, want)
			}
			if a, ok := ParsePasswd(want); ok && (a.Name != name || strings.Contains(a.Home, ":")) {
				t.Errorf("accepted %+v", a)
			}
		}
		if _, _, err := all.line("no\nname"); err == nil {
			t.Error("found a name that no line can have")
		}
	})
}
