package users

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/accounts"
	"postrider/internal/cdb"
	"postrider/internal/world"
)

func TestCompile(t *testing.T) {
	t.Parallel()
	assign := "=joe.shmoe:joe:507:100:/home/joe:::\n" +
		"+Bob-:bob:508:100:/home/bob:-::\n" +
		"+dom-:dom:89:89:/home/vpopmail/domains/dom:-:::rest is ignored\n" +
		"+SubX:sub:1000:1000:/s:-:pre:\n" +
		"xany:any:1001:1001:/a:::\n" +
		"+:alias:7790:2108:/var/qmail/alias:-::\n" +
		".\nnot looked at\n"
	var got []string
	err := accounts.CompileAssign(strings.NewReader(assign), func(r accounts.Record) error {
		got = append(got, string(r.Key)+" = "+string(r.Data))
		return nil
	})
	want := []string{
		"!joe.shmoe\x00 = joe\x00507\x00100\x00/home/joe\x00\x00",
		"!bob- = bob\x00508\x00100\x00/home/bob\x00-\x00",
		"!dom- = dom\x0089\x0089\x00/home/vpopmail/domains/dom\x00-\x00",
		"!subx = sub\x001000\x001000\x00/s\x00-\x00pre",
		"!any\x00 = any\x001001\x001001\x00/a\x00\x00",
		"! = alias\x007790\x002108\x00/var/qmail/alias\x00-\x00",
		" = -x",
	}
	if err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestBadAssign(t *testing.T) {
	t.Parallel()
	good := "=a:a:1:1:/:::\n"
	for _, c := range []struct{ name, assign, want string }{
		{"cut", good, accounts.ErrAssignCut.Error()},
		{"empty", "", accounts.ErrAssignCut.Error()},
		{"empty line", good + "\n.\n", "line 2: an empty line"},
		{"comment", "# users\n.\n", "line 1: fewer than seven colons"},
		{"too few fields", "=a:a:1:1:/::\n.\n", "line 1: fewer than seven colons"},
		{"zero byte", "=a\x00:a:1:1:/:::\n.\n", "line 1: a zero byte"},
		{"no user", "=a::1:1:/:::\n.\n", "line 1: no user"},
		{"uid no number", "=a:a:x:1:/:::\n.\n", `line 1: uid "x" is no number from 0 to 4294967294`},
		{"gid negative", "=a:a:1:-1:/:::\n.\n", `line 1: gid "-1" is no number from 0 to 4294967294`},
		{"gid too large", "=a:a:1:4294967295:/:::\n.\n", `line 1: gid "4294967295" is no number from 0 to 4294967294`},
		{"home relative", "=a:a:1:1:home:::\n.\n", `line 1: home directory "home" does not begin with a slash`},
	} {
		err := accounts.CompileAssign(strings.NewReader(c.assign), func(accounts.Record) error { return nil })
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

func run1(t *testing.T, home string) (code int, stderr string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	code = Main(world.World{Args: []string{"qmail-newu"}, Home: home, Stderr: w})
	w.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return code, string(text)
}

func TestMainReplacesOrLeavesAlone(t *testing.T) {
	home := t.TempDir()
	dir := filepath.Join(home, "users")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if code, text := run1(t, home); code != exitTemporary || !strings.HasPrefix(text, "qmail-newu: fatal: unable to open users/assign: ") {
		t.Errorf("no file: %d %q", code, text)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "assign"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("=joe:joe:1:1:/first:::\n=joe:joe:2:2:/second:::\n.\n")
	if code, text := run1(t, home); code != exitDone || text != "" {
		t.Fatalf("%d %q", code, text)
	}
	write("=jim:jim:1:1:/home:::\n=bad\n.\n")
	if code, text := run1(t, home); code != exitTemporary || text != "qmail-newu: fatal: bad format in users/assign: line 2: fewer than seven colons\n" {
		t.Errorf("bad line: %d %q", code, text)
	}
	db, err := cdb.Open(filepath.Join(dir, "cdb"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if data, found, err := db.Get([]byte("!joe\x00")); !found || err != nil || !strings.Contains(string(data), "/first") {
		t.Errorf("after a bad file: %q %v %v", data, found, err)
	}
	info, err := os.Stat(filepath.Join(dir, "cdb"))
	if err != nil || info.Mode().Perm() != dbMode {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.tmp")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func FuzzAssign(f *testing.F) {
	f.Add("=joe:joe:1:1:/:::\n+a-:joe:1:1:/:-::\n.\n")
	f.Add(":::::::\n.")
	f.Fuzz(func(t *testing.T, assign string) {
		last := accounts.Record{}
		err := accounts.CompileAssign(strings.NewReader(assign), func(r accounts.Record) error {
			if len(r.Key) > 0 && r.Key[0] != '!' {
				t.Errorf("key %q", r.Key)
			}
			last = r
			return nil
		})
		if err == nil && len(last.Key) != 0 {
			t.Error("no list of prefixes at the end")
		}
	})
}
