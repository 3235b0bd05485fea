package aliases

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postrider/internal/cdb"
	"postrider/internal/control"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want []Target
	}{
		{"", nil},
		{" , ,", nil},
		{"joe", []Target{{Name, "joe"}}},
		{" joe , jim@x.example,Bob", []Target{{Name, "joe"}, {Address, "jim@x.example"}, {Name, "Bob"}}},
		{`\joe`, []Target{{Escaped, "joe"}}},
		{`"\joe"`, []Target{{Escaped, "joe"}}},
		{`\joe, "|/usr/bin/vacation joe"`, []Target{{Escaped, "joe"}, {Program, "/usr/bin/vacation joe"}}},
		{`|/bin/prog a b`, []Target{{Program, "/bin/prog a b"}}},
		{`| "prog 'a, b' \"c\" $x\y"`, []Target{{Program, `prog 'a, b' "c" $x\y`}}},
		{`"|prog (x, y", z`, []Target{{Program, "prog (x, y"}, {Name, "z"}}},
		{"/var/mail/x, /home/joe/Maildir/, /dev/null", []Target{{File, "/var/mail/x"}, {File, "/home/joe/Maildir/"}, {File, "/dev/null"}}},
		{`"/a b"`, []Target{{File, "/a b"}}},
		{":include:/etc/list, :INCLUDE: \"/a b\", \":include:/c,d\"", []Target{{Include, "/etc/list"}, {Include, "/a b"}, {Include, "/c,d"}}},
		{"Joe User <joe@x.example>, <jim>", []Target{{Address, "joe@x.example"}, {Name, "jim"}}},
		{`"Joe, U." <joe@x> (a, b), jim (Jim) `, []Target{{Address, "joe@x"}, {Name, "jim"}}},
		{`"joe user"@x, "a@b", "a\"b"@c`, []Target{{Address, "joe user@x"}, {Name, "a@b"}, {Address, `a"b@c`}}},
		{`joe\ user@x`, []Target{{Address, "joe user@x"}}},
	} {
		got, err := Parse(c.in)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, %v, want %v", c.in, got, err, c.want)
		}
	}
	for _, in := range []string{
		"joe jim", `"joe`, "(joe", "<joe", "joe@", "@x", "|", `"|"`, ":include:list", ":fail:", "a\x00b", `""`, "<>", "a<b<c>>",
		strings.Repeat("x", maxTarget+1),
	} {
		if got, err := Parse(in); err == nil {
			t.Errorf("%.50q is %v", in, got)
		}
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	const text = "# comment\n\nPostmaster: root\nroot:joe,\n\t jim ,\n  # inside\n bob\n\"A b\" : x\nlast:\n"
	want := []Entry{{"postmaster", " root", 3}, {"root", "joe, jim , bob", 4}, {"a b", " x", 8}, {"last", "", 9}}
	var got []Entry
	err := Read(text, func(e Entry) error { got = append(got, e); return nil })
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"joe jim\n", " joe\n", ": x\n", "joe@x: y\n", "joe: x", "\"joe: x\n"} {
		if err := Read(bad, func(Entry) error { return nil }); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// site is a control directory whose tables lie beside it.
type site struct {
	t   *testing.T
	dir string
	*Tables
}

func newSite(t *testing.T, tables ...string) *site {
	s := &site{t: t, dir: t.TempDir()}
	var names strings.Builder
	for i, text := range tables {
		name := fmt.Sprintf("table%d", i)
		s.write(name, text)
		names.WriteString(s.dir + "/" + name + "\n")
	}
	if len(tables) > 0 {
		s.write("aliases", names.String())
	}
	s.Tables = New(control.Dir(s.dir))
	return s
}

func (s *site) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) expand(name string) (string, error) {
	e, found, err := s.Expand(name, "mx.example")
	if err != nil || !found {
		return "", err
	}
	var words []string
	for _, t := range e.Targets {
		words = append(words, map[Kind]string{Address: "&", Program: "|", Bare: "!", File: "f"}[t.Kind]+t.Text)
	}
	if e.Owner != "" {
		words = append(words, "owner="+e.Owner)
	}
	return strings.Join(words, " "), nil
}

func TestExpand(t *testing.T) {
	t.Parallel()
	s := newSite(t, `
postmaster: Root
root: joe, \jim, bob@x.example
jim: elsewhere@x.example
joe: joe, archive
Self: "\self", |prog
direct: direct@MX.example
list: :include:DIR/list
owner-list: joe
a: b, c
b: d
c: d, /dev/null
d: x
loop1: loop2
loop2: loop1
none:
listed: :include:DIR/programs
unreadable: :include:DIR/missing
again: :include:DIR/again
`, "later: y\njoe: not this one\n")
	text, err := os.ReadFile(s.dir + "/table0")
	if err != nil {
		t.Fatal(err)
	}
	s.write("table0", strings.ReplaceAll(string(text), "DIR", s.dir))
	s.write("list", "# members\njoe\namy@x.example, Bob <bob@x.example>\n")
	s.write("programs", "joe\n|prog\n")
	s.write("again", ":include:"+s.dir+"/again\nx\n")
	for name, want := range map[string]string{
		"POSTMASTER": `&\joe@mx.example &archive@mx.example &\jim@mx.example &bob@x.example`,
		"joe":        `&\joe@mx.example &archive@mx.example`,
		"self":       `&\self@mx.example |prog`,
		"direct":     `&\direct@MX.example`,
		"list":       `&\joe@mx.example &archive@mx.example &amy@x.example &bob@x.example owner=owner-list@mx.example`,
		"a":          "&x@mx.example f/dev/null",
		"none":       "",
		"later":      "&y@mx.example",
		"again":      "&x@mx.example",
		"unknown":    "",
	} {
		if got, err := s.expand(name); got != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
		}
	}
	for name, want := range map[string]error{"loop1": errLoop, "listed": errListed, "unreadable": os.ErrNotExist} {
		if _, err := s.expand(name); !errors.Is(err, want) {
			t.Errorf("%s: error %v, want %v", name, err, want)
		}
	}
}

func TestLook(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if is, user, err := s.Look(`\joe`); is || user != `\joe` || err != nil {
		t.Errorf("without tables: %v %q %v", is, user, err)
	}
	s = newSite(t, "joe: jim\n")
	for local, want := range map[string]string{"joe": "alias joe", "JOE": "alias JOE", "jim": "jim", `\joe`: "joe", `\`: `\`} {
		is, user, err := s.Look(local)
		if is {
			user = "alias " + user
		}
		if user != want || err != nil {
			t.Errorf("%s: %q %v", local, user, err)
		}
	}
}

// No trouble with a table makes somebody unknown.
func TestTroubleIsNoAnswer(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(s *site) error{
		"missing":          func(s *site) error { return os.Remove(s.dir + "/table0") },
		"half written":     func(s *site) error { return os.WriteFile(s.dir+"/table0", []byte("joe: jim\nj"), 0o644) },
		"nonsense":         func(s *site) error { return os.WriteFile(s.dir+"/table0", []byte("joe jim\n"), 0o644) },
		"world-writable":   func(s *site) error { return os.Chmod(s.dir+"/table0", 0o666) },
		"no absolute name": func(s *site) error { return os.WriteFile(s.dir+"/aliases", []byte("table0\n"), 0o644) },
		"no plain file":    func(s *site) error { return os.WriteFile(s.dir+"/aliases", []byte(s.dir+"\n"), 0o644) },
		"no cdb": func(s *site) error {
			s.write("x.cdb", "joe: jim\n")
			return os.WriteFile(s.dir+"/aliases", []byte(s.dir+"/x.cdb\n"), 0o644)
		},
	} {
		s := newSite(t, "joe: jim\n")
		if err := spoil(s); err != nil {
			t.Fatal(err)
		}
		if is, _, err := s.Look("other"); err == nil {
			t.Errorf("%s: %v", name, is)
		}
		if got, err := s.expand("other"); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// A change counts with the next question.
func TestTableChanges(t *testing.T) {
	t.Parallel()
	s := newSite(t, "joe: jim\n")
	if got, err := s.expand("joe"); got != "&jim@mx.example" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	s.write("new", "joe: bob, amy\n")
	if err := os.Rename(s.dir+"/new", s.dir+"/table0"); err != nil {
		t.Fatal(err)
	}
	if got, err := s.expand("joe"); got != "&bob@mx.example &amy@mx.example" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	// Emptied to be written in place.
	s.write("table0", "")
	if got, err := s.expand("joe"); got != "&bob@mx.example &amy@mx.example" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestCompiled(t *testing.T) {
	t.Parallel()
	s := newSite(t, "joe: jim\n")
	s.write("aliases", s.dir+"/aliases.cdb\n")
	s.write("list.bin", "&amy@x.example\x00&bob@x.example\x00")
	path := s.dir + "/aliases.cdb"
	err := cdb.Replace(path, path+".tmp", 0o644, func(w *cdb.Writer) error {
		return errors.Join(
			w.Add([]byte(":joe@"), []byte("&jim@mx.example\x00!vacation joe\x00|prog\x00")),
			w.Add([]byte(":list@"), []byte(s.dir+"/list.bin\x00")),
			w.Add([]byte("?list@"), []byte("owner-list@mx.example")),
			w.Add([]byte(":cut@"), []byte("&jim@mx.example")),
			w.Add([]byte(":odd@"), []byte("./relative\x00")),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Joe": "&jim@mx.example |vacation joe !prog", "list": "&amy@x.example &bob@x.example owner=owner-list@mx.example", "amy": "",
	} {
		if got, err := s.expand(name); got != want || err != nil {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"cut", "odd"} {
		if got, err := s.expand(name); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`joe, "\jim", |"prog a", :include:/x, <a@b> (c), "d e"@f`)
	f.Fuzz(func(t *testing.T, list string) {
		targets, err := ParseLines(list)
		if err != nil {
			return
		}
		for _, each := range targets {
			if each.Text == "" || len(each.Text) > maxTarget || strings.ContainsAny(each.Text, "\n\r\x00") {
				t.Errorf("%v of %q", each, list)
			}
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add("joe: jim\n\tbob\n#\n\"a b\": c\n")
	f.Fuzz(func(t *testing.T, text string) {
		_ = Read(text, func(e Entry) error {
			if e.Name == "" || strings.ContainsAny(e.Name, "@\n") || e.Line < 1 {
				t.Errorf("%+v of %q", e, text)
			}
			_, _ = Parse(e.List)
			return nil
		})
	})
}

func FuzzInstructions(f *testing.F) {
	f.Add([]byte("&a@b\x00!prog\x00/list.bin\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		targets, err := instructions(data)
		for _, each := range targets {
			if err == nil && (each.Text == "" || strings.ContainsAny(each.Text, "\n\x00")) {
				t.Errorf("%v of %q", each, data)
			}
		}
	})
}
