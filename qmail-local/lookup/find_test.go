package lookup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/accounts"
	"postrider/internal/address"
	"postrider/internal/cdb"
	"postrider/internal/clock"
	"postrider/internal/control"
	"postrider/internal/responder"
	wire "postrider/internal/wire/lookup"
)

// site is an installation with two users, joe and alias.
type site struct {
	t    testing.TB
	dir  string
	f    *finder
	mu   sync.Mutex
	said []string
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir()}
	for _, dir := range []string{"control", "users", "joe", "alias"} {
		if err := os.Mkdir(s.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.write("control/me", "here.example\n")
	uid, gid := max(1000, os.Getuid()), os.Getgid()
	for _, user := range []string{"joe", "alias"} { // passwd wants the home to be the user's
		if err := os.Chown(s.path(user), uid, -1); err != nil {
			t.Fatal(err)
		}
	}
	s.write("passwd", fmt.Sprintf("joe:x:%d:%d::%s:\nalias:x:%d:%d::%s:\n", uid, gid, s.path("joe"), uid, gid, s.path("alias")))
	s.f = newFinder(control.Dir(s.path("control")), accounts.Resolver{
		UsersDB: accounts.NewUsersDB(s.path("users/cdb")), Passwd: accounts.NewPasswd(s.path("passwd")),
		Alias: accounts.AliasUser, Break: accounts.DefaultBreak,
	}, clock.Real(), responder.New("qmail-lookup", clock.Real(), s.log).Warn)
	return s
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

func (s *site) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) log(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = append(s.said, line)
}

// find returns the verdicts for addresses, a letter each.
func (s *site) find(addresses ...string) (verdicts string) {
	s.t.Helper()
	for _, text := range addresses {
		a, err := address.New(text)
		if err != nil {
			s.t.Fatal(err)
		}
		verdicts += string(s.f.find(a).Verdict)
	}
	return verdicts
}

func (s *site) expect(want string, addresses ...string) {
	s.t.Helper()
	if got := s.find(addresses...); got != want {
		s.t.Errorf("%q: %s, want %s", addresses, got, want)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.write("joe/.qmail-list", "./Maildir/\n")
	s.write("alias/.qmail-sales", "&joe\n")
	s.expect("YYN", "joe@here.example", "JOE", "jim@here.example")
	s.expect("YNN", "joe-list@here.example", "joe-other@here.example", "joe-list-x@here.example")
	s.expect("YYN", "sales@here.example", "SaleS@HERE.example", "sales-x@here.example")
	s.expect("YY", "jim@elsewhere.example", "") // another host's, and mail that is discarded
	s.write("alias/.qmail-default", "./Maildir/\n")
	s.expect("YN", "jim@here.example", "joe-other@here.example")
}

func TestFindByControlFiles(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.write("control/locals", "here.example\n")
	s.write("control/virtualdomains", "virt.example:joe-virt\n")
	s.write("control/percenthack", "here.example\n")
	s.write("joe/.qmail-virt-info", "")
	s.expect("YNY", "info@virt.example", "none@virt.example", "info@a.virt.example")
	s.expect("YN", "joe%here.example@here.example", "jim%here.example@here.example")
}

// What a delivery would put off is not refused for good.
func TestFindIsUnsure(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	record := func(user, uid, home string) string {
		return user + "\x00" + uid + "\x00" + uid + "\x00" + home + "\x00-\x00"
	}
	path := s.path("users/cdb")
	err := cdb.Replace(path, path+".tmp", 0o644, func(w *cdb.Writer) error {
		return errors.Join(w.Add([]byte("!root\x00"), []byte(record("root", "0", "/root"))),
			w.Add([]byte("!gone\x00"), []byte(record("gone", "1000", s.path("nowhere")))),
			w.Add([]byte("!torn\x00"), []byte("torn")), w.Add(nil, []byte("-")))
	})
	if err != nil {
		t.Fatal(err)
	}
	s.expect("TTTY", "root", "gone", "torn", "joe")
	s.write("users/cdb", "damaged")
	s.expect("TT", "joe", "jim")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	s.expect("YN", "joe", "jim")
	s.write("passwd", "joe:x:1000")
	s.expect("TT", "joe", "jim")
	if err := os.Remove(s.path("passwd")); err != nil {
		t.Fatal(err)
	}
	s.expect("TT", "joe", "jim")
	if len(s.said) < 4 || !strings.HasPrefix(s.said[0], "qmail-lookup: warning: ") {
		t.Errorf("log: %q", s.said)
	}
}

// Without control files nobody is known, and there is no route.
func TestControlFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if err := os.Remove(s.path("control/me")); err != nil {
		t.Fatal(err)
	}
	s.expect("TT", "joe@here.example", "x@elsewhere.example")
	s.write("control/me", "here.example\n")
	s.f.routes.checked = time.Time{} // later
	s.expect("YY", "joe@here.example", "x@elsewhere.example")
}

// movedClock is a clock that stands still.
type movedClock struct {
	clock.Clock
	now time.Time
}

func (c *movedClock) Now() time.Time { return c.now }

// A change counts once nobody can still be writing.
func TestRoutesChange(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	c := &movedClock{clock.Real(), time.Now().Add(time.Hour)}
	s.f.routes.clock = c
	s.expect("Y", "jim@virt.example")
	s.write("control/virtualdomains", "virt.example:joe-virt\n")
	s.expect("Y", "jim@virt.example") // looked at a moment ago
	c.now = time.Now()
	s.expect("Y", "jim@virt.example") // it may be being written
	c.now = c.now.Add(2 * settle)
	s.expect("N", "jim@virt.example")
	s.write("control/virtualdomains", "a\x00b\n")
	c.now = c.now.Add(2 * settle)
	s.expect("T", "jim@virt.example")
	s.write("control/virtualdomains", "")
	c.now = c.now.Add(recheck)
	s.expect("Y", "jim@virt.example") // an error does not last
}

func TestPostmasterIsMissed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.expect("NN", "postmaster@here.example", "Postmaster@here.example")
	if len(s.said) != 1 || !strings.Contains(s.said[0], "postmaster has no mailbox") {
		t.Errorf("log: %q", s.said)
	}
	s.write("alias/.qmail-postmaster", "")
	s.expect("Y", "postmaster@here.example")
}

func TestHomes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	home := s.path("joe")
	if err := errors.Join(os.Mkdir(home+"/.qmail-dir", 0o755), unix.Mkfifo(home+"/.qmail-fifo", 0o644),
		os.Symlink("nowhere", home+"/.qmail-lost"), os.Symlink(".qmail-loop", home+"/.qmail-loop")); err != nil {
		t.Fatal(err)
	}
	s.expect("NNNN", "joe-dir", "joe-fifo", "joe-lost", "joe-loop")
	s.expect("N", "joe-"+strings.Repeat("x-", 300))
	s.expect("N", "joe-../alias/.qmail-sales")
	for mode, want := range map[os.FileMode]string{0o755 | os.ModeSticky: "YY", 0o777: "YY", 0o755: "YN"} {
		if err := os.Chmod(home, mode); err != nil {
			t.Fatal(err)
		}
		s.expect(want, "joe", "joe-none")
	}
	if _, err := hidden(unix.EACCES); err != nil {
		t.Errorf("a home that is closed: %v", err)
	}
	if a, err := hidden(unix.EIO); err == nil {
		t.Errorf("a home that is broken: %v", a)
	}
}

// TestHomeBelowAClosedDirectory: neither this process nor qmail-lspawn may look
// there; the worker of the account may.
func TestHomeBelowAClosedDirectory(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	err := s.f.stat("/home/joe", &unix.Stat_t{})
	if !errors.Is(err, unix.ENOENT) {
		t.Fatalf("a home that is not there: %v", err)
	}
	s.f.resolver.Stat = func(string, *unix.Stat_t) error { return unix.EACCES }
	if r, err := s.f.resolver.Resolve("joe-list"); err != nil || r.User != "joe" || r.Ext != "list" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestQuota(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	maildir := func(dir, size string) {
		t.Helper()
		if err := os.MkdirAll(s.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
		s.write(dir+"/maildirsize", size)
	}
	const full, room = "100S\n120 1\n", "100S\n80 1\n"
	maildir("joe/Maildir", full)
	maildir("joe/Other", room)
	s.expect("Y", "joe") // which goes nowhere by default
	s.f.setDefaultDelivery("./Maildir/\n")
	s.expect("F", "joe")
	s.write("control/overquota", "defer\n") // it waits until there is room
	s.expect("Y", "joe")
	s.write("control/overquota", "bounce\n")
	for _, c := range []struct{ name, instructions, want string }{
		{"an empty file", "", "F"},
		{"the same Maildir", "# mine\n./Maildir/\n", "F"},
		{"an absolute path", s.path("joe/Maildir") + "/\n", "F"},
		{"another one", "./Other/\n", "Y"},
		{"two", "./Maildir/\n./Other/\n", "Y"},
		{"a forward too", "./Maildir/\n&jim\n", "Y"},
		{"a program first", "|dot-forward\n./Maildir/\n", "Y"},
		{"none", "#\n", "Y"},
		{"an mbox", "./Mailbox\n", "Y"},
		{"no file there", "./joe/\n", "Y"},
	} {
		s.write("joe/.qmail-x", c.instructions)
		if got := s.find("joe-x"); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	for _, c := range []struct{ name, size string }{
		{"no quota", "0S\n120 1\n"}, {"damaged", "full\n"}, {"too large", full + strings.Repeat("1 1\n", 20000)}, {"being written", "100S\n120 1"},
	} {
		s.write("joe/Maildir/maildirsize", c.size)
		if got := s.find("joe"); got != "Y" {
			t.Errorf("%s: %s", c.name, got)
		}
	}
	if err := errors.Join(os.Remove(s.path("joe/Maildir/maildirsize")), unix.Mkfifo(s.path("joe/Maildir/maildirsize"), 0o644)); err != nil {
		t.Fatal(err)
	}
	s.expect("Y", "joe")
}

// BenchmarkFind is a user, and somebody whom alias does not have either.
func BenchmarkFind(b *testing.B) {
	for _, local := range []string{"joe", "jim", "joe-a-b-c-d"} {
		b.Run(local, func(b *testing.B) {
			s := newSite(b)
			a, err := address.New(local + "@here.example")
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if s.f.find(a).Verdict == wire.Unsure {
					b.Fatal("unsure")
				}
			}
		})
	}
}

// A home that does not answer is no missing user.
func TestAccountsThatCannotBeLookedAt(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	errSlow := errors.New("slow")
	s.f.resolver.Stat = func(string, *unix.Stat_t) error { return errSlow }
	s.expect("TT", "joe", "joe-list")
	if _, err := s.f.resolver.Resolve("joe"); !errors.Is(err, accounts.ErrHome) || !errors.Is(err, errSlow) {
		t.Errorf("error %v", err)
	}
	s.expect("N", "jim") // the home of alias is not looked at for that
}
