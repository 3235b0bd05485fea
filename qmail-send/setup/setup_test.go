package setup

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"postrider/internal/priv"
	"postrider/internal/world"
)

// host is a destination directory with an /etc of its own.
type host struct {
	t    *testing.T
	dest string
}

// newHost makes a host with the accounts of passwd and group. Without root, its
// installation belongs to the user who tests, and has no accounts.
func newHost(t *testing.T, passwd, group string) *host {
	t.Helper()
	h := &host{t, t.TempDir()}
	h.mkdir("etc", 0o755)
	h.write("etc/passwd", passwd, 0o644)
	h.write("etc/group", group, 0o644)
	return h
}

func (h *host) path(name string) string { return filepath.Join(h.dest, name) }

func (h *host) mkdir(name string, mode os.FileMode) {
	h.t.Helper()
	if err := os.MkdirAll(h.path(name), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Chmod(h.path(name), mode); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) write(name, text string, mode os.FileMode) {
	h.t.Helper()
	if err := os.WriteFile(h.path(name), []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Chmod(h.path(name), mode); err != nil {
		h.t.Fatal(err)
	}
}

// setup runs the program and returns its exit code and what it says.
func (h *host) setup(args ...string) (int, string) {
	h.t.Helper()
	out, err := os.CreateTemp(h.t.TempDir(), "out")
	if err != nil {
		h.t.Fatal(err)
	}
	defer out.Close()
	code := Main(world.World{
		Args: append([]string{"qmail-setup", "-d", h.dest, "-h", "mail.example"}, args...),
		Home: "/var/qmail", Stdout: out, Stderr: out,
	})
	said, err := os.ReadFile(out.Name())
	if err != nil {
		h.t.Fatal(err)
	}
	return code, string(said)
}

// state lists everything below the destination, for comparison.
func (h *host) state() string {
	h.t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(h.dest, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		fmt.Fprintf(&b, "%s %v %d:%d inode %d\n", path, info.Mode(), st.Uid, st.Gid, st.Ino)
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return b.String()
}

// owned looks at mode and, as root, owner of a path.
func (h *host) owned(name, user, group string, mode os.FileMode) {
	h.t.Helper()
	info, err := os.Lstat(h.path(name))
	if err != nil {
		h.t.Error(err)
		return
	}
	if got := info.Mode() &^ os.ModeDir; got != mode {
		h.t.Errorf("%s has mode %v, want %v", name, got, mode)
	}
	if os.Getuid() != 0 {
		return
	}
	passwd, _ := os.ReadFile(h.path("etc/passwd"))
	groups, _ := os.ReadFile(h.path("etc/group"))
	ids := numbers(parseColonFile(string(passwd)), parseColonFile(string(groups)))
	st := info.Sys().(*syscall.Stat_t)
	if int(st.Uid) != ids.users[user] || int(st.Gid) != ids.groups[group] {
		h.t.Errorf("%s belongs to %d:%d, want %s:%s (%d:%d)", name, st.Uid, st.Gid, user, group, ids.users[user], ids.groups[group])
	}
}

func TestFreshHost(t *testing.T) {
	h := newHost(t, freshPasswd, freshGroup)
	if code, said := h.setup(); code != 0 {
		t.Fatal(said)
	}
	for _, e := range priv.Tree() {
		h.owned("var/qmail/"+e.Path, e.User, e.Group, e.Mode)
	}
	for name, want := range map[string]string{"me": "mail.example\n", "rcpthosts": "mail.example\nlocalhost\n"} {
		if got, err := os.ReadFile(h.path("var/qmail/control/" + name)); err != nil || string(got) != want {
			t.Errorf("control/%s: %q, %v", name, got, err)
		}
	}
	h.owned("var/qmail/alias/Maildir/new", "alias", "nofiles", 0o700)
	before := h.state()
	if code, said := h.setup(); code != 0 || said != "" {
		t.Errorf("again: %d, %s", code, said)
	}
	if after := h.state(); after != before {
		t.Errorf("the second time changed the tree:\n%s\n%s", before, after)
	}
}

func TestWhatIsWrongIsPutRight(t *testing.T) {
	h := newHost(t, freshPasswd, freshGroup)
	if code, said := h.setup(); code != 0 {
		t.Fatal(said)
	}
	h.mkdir("var/qmail/queue/tmp", 0o777)
	if err := os.Remove(h.path("var/qmail/queue/new/42")); err != nil {
		t.Fatal(err)
	}
	h.write("var/qmail/control/me", "other.example\n", 0o644)
	if code, said := h.setup(); code != 0 {
		t.Fatal(said)
	}
	h.owned("var/qmail/queue/tmp", "qmailq", "qmails", 0o700)
	h.owned("var/qmail/queue/new/42", "qmailq", "qmails", 0o750)
	if got, _ := os.ReadFile(h.path("var/qmail/control/me")); string(got) != "other.example\n" {
		t.Errorf("the administrator's control/me became %q", got)
	}
}

func TestClassicHostKeepsWorking(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root has a classic qmail")
	}
	h := newHost(t, classicPasswd, classicGroup)
	for _, d := range []struct {
		name     string
		mode     os.FileMode
		uid, gid int
	}{
		{"var/qmail/bin", 0o755, 0, 2107}, {"var/qmail/control", 0o750, 0, 2107}, {"var/qmail/alias", os.ModeSetgid | 0o755, 7790, 2107},
		{"var/qmail/queue", 0o750, 7794, 2107}, {"var/qmail/queue/lock", 0o750, 7794, 2107}, {"var/qmail/queue/info", 0o700, 7796, 2107},
		{"var/qmail/queue/mess", 0o750, 7794, 2107},
	} {
		h.mkdir(d.name, 0o755)
		if err := os.Chown(h.path(d.name), d.uid, d.gid); err != nil {
			t.Fatal(err)
		}
		h.mkdir(d.name, d.mode)
	}
	h.write("var/qmail/bin/qmail-queue", "classic", os.ModeSetuid|0o711)
	h.write("var/qmail/control/me", "old.example\n", 0o644)
	if code, said := h.setup(); code != 0 {
		t.Fatal(said)
	}
	h.owned("var/qmail/control", "root", "qmail", 0o750)
	h.owned("var/qmail/queue", "qmailq", "qmails", 0o711)
	// qmail's own users must still get to tcpto and trigger.
	h.owned("var/qmail/queue/lock", "qmailq", "qmail", 0o751)
	h.owned("var/qmail/queue/mess", "qmailq", "qmail", 0o750)
	h.owned("var/qmail/bin/qmail-queue", "root", "root", os.ModeSetuid|0o711)
	for _, name := range []string{"alias/.qmail-postmaster", "control/rcpthosts"} {
		if _, err := os.Lstat(h.path("var/qmail/" + name)); err == nil {
			t.Errorf("%s was made on a host that is configured", name)
		}
	}
	programs := t.TempDir()
	for _, name := range []string{"qmail-queue", "qmail-send"} {
		if err := os.WriteFile(filepath.Join(programs, name), []byte("new"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if code, said := h.setup("-i", programs); code != 0 {
			t.Fatal(said)
		}
	}
	if got, _ := os.ReadFile(h.path("var/qmail/bin.classic/qmail-queue")); string(got) != "classic" {
		t.Errorf("the classic program became %q", got)
	}
	h.owned("var/qmail/bin.classic", "root", "root", 0o700)
	h.owned("var/qmail/bin/qmail-queue", "root", "root", 0o755)
	h.owned("var/qmail/bin/qmail-send", "root", "root", 0o711)
}

// Invariant 4: the queue's users own directories in which root works.
func TestNoLinkBelowQueueIsFollowed(t *testing.T) {
	for _, c := range []struct{ name, lure string }{
		{"directory", "queue/new"},
		{"directory in a directory", "queue/new/42"},
		{"file", "queue/lock/spool"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t, freshPasswd, freshGroup)
			if code, said := h.setup(); code != 0 {
				t.Fatal(said)
			}
			h.mkdir("precious", 0o755)
			h.write("precious/file", "x", 0o644)
			target := h.path("precious")
			if strings.Contains(c.name, "file") {
				target = h.path("precious/file")
			}
			lure := h.path("var/qmail/" + c.lure)
			if err := os.RemoveAll(lure); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(target, lure); err != nil {
				t.Fatal(err)
			}
			if code, said := h.setup(); code == 0 || !strings.Contains(said, c.lure) {
				t.Errorf("exit %d, says %q", code, said)
			}
			h.owned("precious", "root", "root", 0o755)
			h.owned("precious/file", "root", "root", 0o644)
		})
	}
}

func TestHardLinkIsRefused(t *testing.T) {
	h := newHost(t, freshPasswd, freshGroup)
	if code, said := h.setup(); code != 0 {
		t.Fatal(said)
	}
	h.write("precious", "x", 0o644)
	spool := h.path("var/qmail/queue/lock/spool")
	if err := os.Remove(spool); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(h.path("precious"), spool); err != nil {
		t.Fatal(err)
	}
	if code, said := h.setup(); code == 0 || !strings.Contains(said, "one name") {
		t.Errorf("exit %d, says %q", code, said)
	}
	h.owned("precious", "root", "root", 0o644)
}

func TestUsage(t *testing.T) {
	h := newHost(t, freshPasswd, freshGroup)
	for _, args := range [][]string{{"-x"}, {"operand"}, {"-i"}} {
		if code, said := h.setup(args...); code != exitUsage || !strings.Contains(said, "usage:") {
			t.Errorf("%q: exit %d, says %q", args, code, said)
		}
	}
}
