package vpopmail

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"postrider/internal/cdb"
	"postrider/internal/control"
	"postrider/internal/maildirsize"
)

func TestLoad(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want Settings
		bad  bool
	}{
		{"/home/vpopmail\n", Settings{Dir: "/home/vpopmail"}, false},
		{"/home/vpopmail/ \t qmail-ext\n", Settings{"/home/vpopmail", true}, false},
		{"\n", Settings{}, false},
		{"home/vpopmail\n", Settings{}, true},
		{"/home/vpopmail extensions\n", Settings{}, true},
		{"/home/$USER\n", Settings{}, true},
		{"/\n", Settings{}, true},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(dir+"/vpopmail", []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Load(control.Dir(dir)); got != c.want || (err != nil) != c.bad {
			t.Errorf("%q: %+v, %v", c.text, got, err)
		}
	}
	if got, err := Load(control.Dir(t.TempDir())); got != (Settings{}) || err != nil {
		t.Errorf("no file: %+v, %v", got, err)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	s := Settings{Dir: "/home/vpopmail"}
	const program = " /home/vpopmail/bin/vdelivermail "
	for _, c := range []struct {
		line       string
		want       Fallback
		understood bool
	}{
		{program + "'' bounce-no-mailbox", Fallback{Bounce, ""}, true},
		{program + `"" delete`, Fallback{Delete, ""}, true},
		{program + "'' joe@other.example", Fallback{Forward, "joe@other.example"}, true},
		{program + "'' 'joe@other.example'", Fallback{Forward, "joe@other.example"}, true},
		{program + "'' /home/vpopmail/domains/a.example/joe/", Fallback{Directory, "/home/vpopmail/domains/a.example/joe"}, true},
		{program + "'' joe", Fallback{}, false},
		{program + "'' @other.example", Fallback{}, false},
		{program + "'' .Maildir@x", Fallback{}, false},
		{program + "'' /", Fallback{}, false},
		{program + "''", Fallback{}, false},
		{program + "'' delete # a shell's comment", Fallback{}, false},
		{program + "'' $CATCHALL", Fallback{}, false},
		{program + "'' joe@other.example;true", Fallback{}, false},
		{program + "'' `cat x`", Fallback{}, false},
		{program + "x delete", Fallback{}, false},
		{"/usr" + program + "'' delete", Fallback{}, false},
		{"exec" + program + "'' delete", Fallback{}, false},
	} {
		got, understood := s.Parse(c.line)
		if understood != c.understood || understood && got != c.want {
			t.Errorf("%q: %+v, %v", c.line, got, understood)
		}
	}
	if _, understood := (Settings{}).Parse(program + "'' delete"); understood {
		t.Error("understood though there is no control/vpopmail")
	}
}

// domain makes a domain of lines as vpasswd has them, and returns it open.
func domain(t testing.TB, lines ...string) int {
	t.Helper()
	dir := t.TempDir()
	err := cdb.Replace(filepath.Join(dir, Database), filepath.Join(dir, "vpasswd.tmp"), 0o600, func(w *cdb.Writer) error {
		for _, line := range lines {
			name, data, _ := strings.Cut(line, ":")
			if err := w.Add([]byte(name), []byte(data)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return openDir(t, dir)
}

func openDir(t testing.TB, dir string) int {
	t.Helper()
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func TestFind(t *testing.T) {
	t.Parallel()
	dir := domain(t,
		"joe:$1$hash:1:0:Joe:/d/joe:10000000S,1000C:clear",
		"joe-list:x:0:0::/d/0/joe-list/:NOQUOTA",
		"closed:x:0:16::/d/closed:",
		"open:x:0:15::/d/open:",
		"short:x:0:0:/d/short", "flags:x:0:many::/d/x:", "relative:x:0:0::d/x:", "none:x:0:0:::", "line:x:0:0::/d/\n:",
	)
	for _, c := range []struct {
		ext, name, dir, rest string
		extensions, hasExt   bool
	}{
		{ext: "joe", name: "joe", dir: "/d/joe"},
		{ext: "JOE", name: "joe", dir: "/d/joe"},
		{ext: "joe-x"},
		{ext: "joe-x-Y", extensions: true, name: "joe", dir: "/d/joe", rest: "x-y", hasExt: true},
		{ext: "joe-", extensions: true, name: "joe", dir: "/d/joe", rest: "", hasExt: true},
		{ext: "joe-list", extensions: true, name: "joe-list", dir: "/d/0/joe-list"},
		{ext: "joe-list-a", extensions: true, name: "joe-list", dir: "/d/0/joe-list", rest: "a", hasExt: true},
		{ext: "-joe", extensions: true},
		{ext: "", extensions: true},
		{ext: strings.Repeat("-", 5000), extensions: true},
		{ext: "jo"},
	} {
		a, found, err := Settings{Dir: "/v", Extensions: c.extensions}.Find(dir, c.ext)
		if err != nil || found != (c.name != "") || a.Name != c.name || a.Dir != c.dir || a.Ext != c.rest || a.HasExt != c.hasExt {
			t.Errorf("%.20q: %+v, %v, %v", c.ext, a, found, err)
		}
	}
	for _, name := range []string{"short", "flags", "relative", "none", "line"} {
		if _, found, err := (Settings{}).Find(dir, name); err == nil || found || strings.Contains(err.Error(), "/d/") {
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
	for name, want := range map[string]bool{"closed": true, "open": false} {
		if a, _, err := (Settings{}).Find(dir, name); a.Closed != want || err != nil {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	if got := slices.Collect(Account{}.Files()); !slices.Equal(got, []string{".qmail"}) {
		t.Errorf("without an extension: %q", got)
	}
	got := slices.Collect(Account{Ext: "a.b-c", HasExt: true}.Files())
	if want := []string{".qmail-a:b-c", ".qmail-a:b-default", ".qmail-default", ".qmail"}; !slices.Equal(got, want) {
		t.Errorf("with one: %q", got)
	}
}

// Trouble with the database never means that there is no such user.
func TestFindTrouble(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		make func(path string) error
		want error
	}{
		{"none", func(string) error { return nil }, ErrNoDatabase},
		{"damaged", func(p string) error { return os.WriteFile(p, []byte(strings.Repeat("\xff", 3000)), 0o600) }, cdb.ErrFormat},
		{"empty", func(p string) error { return os.WriteFile(p, nil, 0o600) }, cdb.ErrFormat},
		{"a FIFO", func(p string) error { return unix.Mkfifo(p, 0o600) }, errKind},
		{"a directory", func(p string) error { return os.Mkdir(p, 0o700) }, errKind},
		{"everybody's", func(p string) error { return errors.Join(os.WriteFile(p, nil, 0o600), os.Chmod(p, 0o666)) }, errWritable},
		{"a link to itself", func(p string) error { return os.Symlink(Database, p) }, unix.ELOOP},
	} {
		dir := t.TempDir()
		if err := c.make(filepath.Join(dir, Database)); err != nil {
			t.Fatal(err)
		}
		if _, found, err := (Settings{}).Find(openDir(t, dir), "joe"); found || !errors.Is(err, c.want) {
			t.Errorf("%s: %v, %v", c.name, found, err)
		}
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]maildirsize.Limit{
		"":                    {},
		"NOQUOTA":             {None: true},
		"10000000S,1000C":     {Line: "10000000S,1000C"},
		"1000C,10000000S":     {Line: "10000000S,1000C"},
		"1000C":               {Line: "1000C"},
		"10000000":            {Line: "10000000S"},
		"10K":                 {Line: "10240S"},
		"10mb":                {Line: "10485760S"},
		"1G,5c":               {Line: "1073741824S,5C"},
		"0S":                  {Line: "0S"},
		"9223372036854775807": {Line: "9223372036854775807S"},
	} {
		if got, err := (User{quota: text}).Limit(); got != want || err != nil {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"much", "-1S", "10X", "S", "10S,", "9223372036854775807K", "10SS", "1 0S"} {
		if got, err := (User{quota: text}).Limit(); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func FuzzUser(f *testing.F) {
	f.Add("joe", "x:1:16:Joe:/d/joe:10000000S,1000C:clear")
	f.Add("joe", "x:::::")
	f.Fuzz(func(t *testing.T, name, data string) {
		u, err := parseUser(name, data)
		if err != nil {
			return
		}
		if u.Dir[0] != '/' || len(u.Dir) > maxDirectory || strings.ContainsAny(u.Dir, "\x00\n:") {
			t.Errorf("directory %q", u.Dir)
		}
		limit, err := u.Limit()
		if err != nil || limit.Line == "" {
			return
		}
		if _, err := limit.Or(maildirsize.Count{}); err != nil {
			t.Errorf("quota %q became %q: %v", data, limit.Line, err)
		}
	})
}

// BenchmarkFind looks up users of domains of two sizes.
func BenchmarkFind(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		b.Run(fmt.Sprint(n, " users"), func(b *testing.B) {
			lines := make([]string, n)
			for i := range lines {
				lines[i] = fmt.Sprintf("user%d:$1$abcdefgh$0123456789012345678901:1:0:User %d:/home/vpopmail/domains/a.example/%d/user%d:10000000S", i, i, i%100, i)
			}
			dir := domain(b, lines...)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, found, err := (Settings{}).Find(dir, fmt.Sprint("user", i*7919%n)); !found || err != nil {
					b.Fatal(found, err)
				}
			}
		})
	}
}
