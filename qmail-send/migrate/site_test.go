package migrate

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"postrider/internal/cdb"
	"postrider/internal/clock"
	"postrider/internal/world"
)

// people are the accounts of the sites in testdata.
var people = map[string]string{"alice": "/home/alice", "bob": "/home/bob", "carol": "/home/carol", "lists": "/home/lists", "vpopmail": "/home/vpopmail", "alias": "/var/qmail/alias"}

// site is the tree of a machine, as a file in testdata has it, with its people.
type site struct {
	t    testing.TB
	root string
	uids map[string]int
}

// newSite lays out a machine. What is written by whom is known only to root: for
// everybody else all accounts have his uid.
func newSite(t testing.TB, name string) *site {
	t.Helper()
	s := &site{t, t.TempDir(), map[string]int{}}
	passwd := "root:x:0:0::/root:/bin/sh\ndaemon:x:1:1::/usr/sbin:\n"
	for i, user := range []string{"alice", "bob", "carol", "lists", "vpopmail", "alias"} {
		if user == "alias" && name != "qmail" {
			continue // qmail-setup makes it
		}
		uid := 1000 + i
		if user == "lists" {
			uid = 1002 + 10
		}
		if user == "vpopmail" {
			uid = 5000
		}
		if user == "alias" {
			uid = 990
		}
		if os.Getuid() != 0 {
			uid = os.Getuid()
		}
		s.uids[user] = uid
		passwd += fmt.Sprintf("%s:x:%d:%d::%s:/bin/sh\n", user, uid, uid, people[user])
		s.mkdir(people[user], user)
	}
	s.write("etc/passwd", passwd, 0o644, "")
	text, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split("\n"+string(text), "\n-- ")[1:] {
		head, body, _ := strings.Cut(part, "\n")
		f := strings.Fields(head)
		mode, owner := os.FileMode(0o644), ""
		if len(f) > 1 {
			n, err := strconv.ParseUint(f[1], 8, 32)
			if err != nil {
				t.Fatal(err)
			}
			mode = os.FileMode(n)
		}
		if len(f) > 2 {
			owner = f[2]
		}
		if !strings.HasSuffix(body, "\n") {
			body += "\n"
		}
		s.write(f[0], body, mode, owner)
		if filepath.Base(f[0]) == "vpasswd" {
			s.vpasswd(f[0]+".cdb", body)
		}
	}
	return s
}

func (s *site) path(name string) string { return filepath.Join(s.root, name) }

func (s *site) mkdir(name, owner string) {
	s.t.Helper()
	if err := os.MkdirAll(s.path(name), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if os.Getuid() == 0 && owner != "" {
		if err := os.Chown(s.path(name), s.uids[owner], s.uids[owner]); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *site) write(name, text string, mode os.FileMode, owner string) {
	s.t.Helper()
	if _, err := os.Stat(filepath.Dir(s.path(name))); err != nil {
		s.mkdir(filepath.Dir(name), owner)
	}
	if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Chmod(s.path(name), mode); err != nil {
		s.t.Fatal(err)
	}
}

// vpasswd makes the database of a domain of vpopmail.
func (s *site) vpasswd(name, text string) {
	s.t.Helper()
	err := cdb.Replace(s.path(name), s.path(name)+".tmp", 0o600, func(w *cdb.Writer) error {
		for line := range strings.Lines(text) {
			user, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
			if err := w.Add([]byte(user), []byte(rest)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// run runs qmail-migrate with these arguments, and below the site's root.
func (s *site) run(args ...string) (code int, out, complaint string) {
	s.t.Helper()
	files := make([]*os.File, 2)
	for i := range files {
		f, err := os.CreateTemp(s.t.TempDir(), "")
		if err != nil {
			s.t.Fatal(err)
		}
		defer f.Close()
		files[i] = f
	}
	code = Main(world.World{
		Args: append([]string{"qmail-migrate", "--root", s.root}, args...), Stdout: files[0], Stderr: files[1],
		Home: "/var/qmail", Clock: clock.Real(),
	})
	text := make([]string, 2)
	for i, f := range files {
		b, err := os.ReadFile(f.Name())
		if err != nil {
			s.t.Fatal(err)
		}
		text[i] = string(b)
	}
	return code, text[0], text[1]
}

// read returns a file of the directory that was written.
func (s *site) read(dir, name string) string {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		s.t.Error(err)
	}
	return string(b)
}
