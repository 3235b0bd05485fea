package users

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/accounts"
	"postrider/internal/clock"
	"postrider/internal/world"
)

// machine is a directory with homes of one uid, and a Q/users.
type machine struct {
	t   *testing.T
	dir string
	uid int
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t, t.TempDir(), os.Getuid()}
	if m.uid == 0 {
		m.uid = 54321
	}
	for _, name := range []string{"users", "control", "joe", "Big", "alias", "others"} {
		if err := os.Mkdir(filepath.Join(m.dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if os.Getuid() == 0 && name != "others" {
			if err := os.Chown(filepath.Join(m.dir, name), m.uid, m.uid); err != nil {
				t.Fatal(err)
			}
		}
	}
	return m
}

// passwd has a line for each name; others, whose home is another's, is of a uid
// of its own.
func (m *machine) passwd(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		uid := m.uid
		switch name {
		case "others":
			uid++
		case "root":
			uid = 0
		}
		fmt.Fprintf(&b, "%s:x:%d:7:A, B:%s/%s:/bin/sh\n", name, uid, m.dir, name)
	}
	return b.String()
}

// run calls a program and returns its exit code and its output, in which N is
// the uid and D the directory.
func (m *machine) run(main func(world.World) int, stdin string, args ...string) (code int, out string) {
	m.t.Helper()
	open := func(name, text string) *os.File {
		path := filepath.Join(m.t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			m.t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			m.t.Fatal(err)
		}
		m.t.Cleanup(func() { f.Close() })
		return f
	}
	stdout := open("out", "")
	code = main(world.World{Args: append([]string{"program"}, args...), Stdin: open("in", stdin), Stdout: stdout, Stderr: open("err", ""), Home: m.dir, Clock: clock.Real()})
	text, err := os.ReadFile(stdout.Name())
	if err != nil {
		m.t.Fatal(err)
	}
	return code, strings.NewReplacer(fmt.Sprint(m.uid), "N", m.dir, "D").Replace(string(text))
}

const aliasLines = "+:alias:N:7:D/alias:-::\n=alias:alias:N:7:D/alias:::\n+alias-:alias:N:7:D/alias:-::\n"

func TestPasswdToUsers(t *testing.T) {
	t.Parallel()
	const joeLines = "=joe:joe:N:7:D/joe:::\n+joe-:joe:N:7:D/joe:-::\n"
	for _, c := range []struct {
		name  string
		users []string
		files map[string]string
		args  []string
		code  int
		out   string
	}{
		{"alias and a user", []string{"alias", "joe"}, nil, nil, 0, aliasLines + joeLines + ".\n"},
		{"root, others' homes, no home, capitals", []string{"root", "others", "none", "Big", "alias"}, nil, nil, 0, aliasLines + ".\n"},
		{"no alias", []string{"joe"}, nil, nil, 111, joeLines},
		{"capitals get mail", []string{"alias", "Big"}, nil, []string{"-u"}, 0, aliasLines + "=Big:Big:N:7:D/Big:::\n+Big-:Big:N:7:D/Big:-::\n.\n"},
		{"a home is needed", []string{"alias", "none"}, nil, []string{"-h"}, 111, aliasLines},
		{"homes are not looked at", []string{"alias", "none"}, nil, []string{"-H"}, 0, aliasLines + "=none:none:N:7:D/none:::\n+none-:none:N:7:D/none:-::\n.\n"},
		{"another break", []string{"alias", "joe"}, nil, []string{"-c+"}, 0,
			strings.NewReplacer("+alias-:", "+alias+:", "+joe-:", "+joe+:").Replace(aliasLines+joeLines) + ".\n"},
		{"no extensions", []string{"alias", "joe"}, nil, []string{"-C"}, 0, "+:alias:N:7:D/alias:-::\n=alias:alias:N:7:D/alias:::\n=joe:joe:N:7:D/joe:::\n.\n"},
		{"a slash", []string{"alias", "joe"}, nil, []string{"-/"}, 0, strings.ReplaceAll(aliasLines+joeLines, ":-::", ":-/::") + ".\n"},
		{"only some", []string{"alias", "joe"}, map[string]string{"include": "alias\n"}, nil, 0, aliasLines + ".\n"},
		{"all but some", []string{"alias", "joe"}, map[string]string{"exclude": "# not him\njoe\n"}, nil, 0, aliasLines + ".\n"},
		{"other names", []string{"alias", "joe"}, map[string]string{"mailnames": "joe:joe.s:js:\n"}, []string{"-C"}, 0,
			"+:alias:N:7:D/alias:-::\n=alias:alias:N:7:D/alias:::\n=joe.s:joe:N:7:D/joe:::\n=js:joe:N:7:D/joe:::\n.\n"},
		{"a sub-user", []string{"alias", "joe"}, map[string]string{"subusers": "sales:joe:shop:\n"}, nil, 0,
			aliasLines + joeLines + "=sales:joe:N:7:D/joe:-:shop:\n+sales-:joe:N:7:D/joe:-:shop-:\n.\n"},
		{"a sub-user's line is cut", []string{"alias"}, map[string]string{"subusers": "sales:joe\n"}, nil, 111, ""},
		{"more lines", []string{"alias"}, map[string]string{"append": "=x:joe:1:1:/:::\n"}, nil, 0, aliasLines + "=x:joe:1:1:/:::\n.\n"},
		{"usage", nil, nil, []string{"-z"}, 100, ""},
		{"arguments", nil, nil, []string{"x"}, 100, ""},
	} {
		m := newMachine(t)
		for name, text := range c.files {
			if err := os.WriteFile(filepath.Join(m.dir, "users", name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		code, out := m.run(PasswdToUsers, m.passwd(c.users...), c.args...)
		if code != c.code || code == 0 && out != c.out {
			t.Errorf("%s: %d\n%s\nwant\n%s", c.name, code, out, c.out)
		}
		if code != 0 && strings.HasSuffix(out, ".\n") {
			t.Errorf("%s: an error, and what is written looks whole", c.name)
		}
	}
}

// What qmail-pw2u writes is what qmail-newu takes.
func TestPasswdToUsersCompiles(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	_, out := m.run(PasswdToUsers, m.passwd("alias", "joe", "Big"), "-u")
	out = strings.NewReplacer("N", "1", "D", "/d").Replace(out)
	n := 0
	if err := accounts.CompileAssign(strings.NewReader(out), func(accounts.Record) error { n++; return nil }); err != nil || n != 8 {
		t.Errorf("%d records, %v, of\n%s", n, err, out)
	}
}

func TestGetPW(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	r := func(names ...string) *accounts.Resolver {
		path := filepath.Join(t.TempDir(), "passwd")
		if err := os.WriteFile(path, []byte(m.passwd(names...)), 0o600); err != nil {
			t.Fatal(err)
		}
		return &accounts.Resolver{Passwd: accounts.NewPasswd(path), Alias: accounts.AliasUser, Break: accounts.DefaultBreak}
	}
	gone := r()
	gone.Passwd = accounts.NewPasswd("/nowhere/passwd")
	for _, c := range []struct {
		name, local string
		resolver    *accounts.Resolver
		code        int
		out         string
	}{
		{"a user", "JOE", r("joe", "alias"), 0, "joe\x00N\x007\x00D/joe\x00\x00\x00"},
		{"an extension", "joe-A-b", r("joe", "alias"), 0, "joe\x00N\x007\x00D/joe\x00-\x00A-b\x00"},
		{"nobody", "Amy", r("joe", "alias"), 0, "alias\x00N\x007\x00D/alias\x00-\x00Amy\x00"},
		{"no alias", "amy", r("joe"), 116, ""},
		{"no passwd", "joe", gone, 118, ""},
	} {
		code, out := m.run(func(w world.World) int { return getPW(w, c.resolver, c.local) }, "")
		if code != c.code || out != c.out {
			t.Errorf("%s: %d %q", c.name, code, out)
		}
	}
	if code, _ := m.run(GetPW, ""); code != 100 {
		t.Errorf("without an argument: %d", code)
	}
}
