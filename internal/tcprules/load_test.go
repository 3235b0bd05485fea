package tcprules

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"postrider/internal/cdb"
	"postrider/internal/control"
)

// rulesDatabase makes a control/tcp.smtp.cdb of lines.
func rulesDatabase(t *testing.T, dir string, lines ...string) {
	t.Helper()
	path := filepath.Join(dir, "tcp.smtp.cdb")
	err := cdb.Replace(path, path+".tmp", 0o644, func(w *cdb.Writer) error {
		for _, line := range lines {
			records, err := ParseRecords(line)
			if err != nil {
				return err
			}
			for _, key := range records.Keys {
				if err := w.Add([]byte(key), []byte(records.Data)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func writeRules(t *testing.T, dir, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "tcp.smtp"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	const denied, allowed = "10.1.2.3", "192.0.2.1"
	for _, c := range []struct {
		name   string
		put    func(t *testing.T, dir string)
		file   string
		rule   string // that denies
		names  bool
		denied bool
	}{
		{"nothing", func(*testing.T, string) {}, "tcp.smtp", "", false, false},
		{"text", func(t *testing.T, dir string) { writeRules(t, dir, "10.1.2.3:deny\n") }, "tcp.smtp", "10.1.2.3", false, true},
		{"text with names", func(t *testing.T, dir string) { writeRules(t, dir, "10.1.2.0/24:deny\n=x:allow\n") }, "tcp.smtp", "10.1.2.0/24", true, true},
		{"database", func(t *testing.T, dir string) { rulesDatabase(t, dir, "10.1.2.1-3:deny") }, "tcp.smtp.cdb", "10.1.2.3", false, true},
		{"text before database", func(t *testing.T, dir string) {
			rulesDatabase(t, dir, "10.1.2.3:deny")
			writeRules(t, dir, "")
		}, "tcp.smtp", "", false, false},
	} {
		dir := t.TempDir()
		c.put(t, dir)
		set, err := Load(control.Dir(dir))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if set.File() != c.file || set.UsesNames() != c.names {
			t.Errorf("%s: from %s, names %v", c.name, set.File(), set.UsesNames())
		}
		client := Client{IP: netip.MustParseAddr(denied)}
		if d, err := set.Match(client); d.Deny != c.denied || err != nil {
			t.Errorf("%s: %s: denied %v, %v", c.name, denied, d.Deny, err)
		}
		if rule, d, found, err := set.Find(client); rule != c.rule || found != c.denied || d.Deny != c.denied || err != nil {
			t.Errorf("%s: rule %q, found %v, %v", c.name, rule, found, err)
		}
		if rule, d, found, err := set.Find(Client{IP: netip.MustParseAddr(allowed)}); rule != "" || found || d.Deny || err != nil {
			t.Errorf("%s: %s: rule %q, %v, %v", c.name, allowed, rule, found, err)
		}
	}
	if d, err := (Set{}).Match(Client{IP: netip.MustParseAddr(denied)}); d.Deny || err != nil {
		t.Errorf("no rules deny: %v", err)
	}
}

// TestLoadRefuses: rules that cannot be read are never no rules.
func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	put := func(name, text string) func(string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644) }
	}
	large := func(dir string) error {
		return errors.Join(put("tcp.smtp.cdb", "")(dir), os.Truncate(filepath.Join(dir, "tcp.smtp.cdb"), maxDatabase+1))
	}
	for _, c := range []struct {
		name string
		put  func(dir string) error
		says string
	}{
		{"text that is a directory", func(dir string) error { return os.Mkdir(filepath.Join(dir, "tcp.smtp"), 0o755) }, "is a directory"},
		{"no directory", func(dir string) error { return os.Remove(dir) }, "no such file"},
		{"wrong lines", put("tcp.smtp", "x\n1.2.3.4:deny\ny\n"), "/tcp.smtp, line 1: "},
		{"database that is a directory", func(dir string) error { return os.Mkdir(filepath.Join(dir, "tcp.smtp.cdb"), 0o755) }, "is a directory"},
		{"database that is a link to itself", func(dir string) error { return os.Symlink("tcp.smtp.cdb", filepath.Join(dir, "tcp.smtp.cdb")) }, "too many levels"},
		{"database that is a pipe", func(dir string) error { return syscall.Mkfifo(filepath.Join(dir, "tcp.smtp.cdb"), 0o644) }, "tcp.smtp.cdb: "},
		{"database that is too short", put("tcp.smtp.cdb", "x"), "tcp.smtp.cdb: "},
		{"database that is too large", large, "is larger than 16777216 bytes"},
	} {
		dir := t.TempDir()
		if err := c.put(dir); err != nil {
			t.Fatal(err)
		}
		set, err := Load(control.Dir(dir))
		if err == nil || !strings.Contains(err.Error(), c.says) || set != (Set{}) {
			t.Errorf("%s: %v", c.name, err)
		}
		if faults, ok := errors.AsType[control.Faults](err); c.name == "wrong lines" && (!ok || len(faults) != 2 || faults[1].Line != 3) {
			t.Errorf("%s: faults %v", c.name, faults)
		}
	}
	dir := t.TempDir()
	largest := put("tcp.smtp.cdb", "")
	if err := errors.Join(largest(dir), os.Truncate(filepath.Join(dir, "tcp.smtp.cdb"), maxDatabase)); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(control.Dir(dir)); err != nil {
		t.Errorf("the largest database: %v", err)
	}
}

func TestIsFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line, name string
		want       bool
	}{
		{"10.1.2.4-6:allow", "10.1.2.6", true},
		{"10.1.2.4-6:allow", "10.1.2.7", false},
		{"10.9.0.0/16:deny", "10.9.0.0/16", true},
		{"10.9.0.0/16:deny", "10.9.0.0/17", false},
		{"10.9.0.0/16:deny", "", false},
		{":allow", "", true},
		{"nonsense", "nonsense", false},
	} {
		if got := IsFor(c.line, c.name); got != c.want {
			t.Errorf("%q has the rule %q: %v", c.line, c.name, got)
		}
	}
}

func TestParseRecords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line string
		want Records
		says string
	}{
		{"10.1.2.4-6:deny", Records{[]string{"10.1.2.4", "10.1.2.5", "10.1.2.6"}, "D\x00"}, ""},
		{`10.:allow,A="b",!C`, Records{[]string{"10."}, "+A=b\x00-C\x00"}, ""},
		{`:deny,A="b"`, Records{[]string{""}, "D\x00+A=b\x00"}, ""},
		{"x", Records{}, "neither :allow nor :deny"},
		{"10.0.0.0/8:deny", Records{}, `write 10.0.0.0/8 as "10."`},
		{"10.32.0.0/11:deny", Records{}, `as "10.32-63."`},
		{"10.1.2.0/24:deny", Records{}, `as "10.1.2."`},
		{"10.1.2.128/25:deny", Records{}, `as "10.1.2.128-255"`},
		{"10.1.2.3/32:deny", Records{}, `as "10.1.2.3"`},
		{"0.0.0.0/0:deny", Records{}, `as ""`},
		{"2001:db8::/32:deny", Records{}, "only the text control/tcp.smtp can have 2001:db8::/32"},
	} {
		got, err := ParseRecords(c.line)
		if !slices.Equal(got.Keys, c.want.Keys) || got.Data != c.want.Data {
			t.Errorf("%q: %q", c.line, got)
		}
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%q: %v, want %q", c.line, err, c.says)
		}
	}
}

// TestDecision: the last word of a rule counts, in whatever way it is asked.
func TestDecision(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		record string
		value  string
		set    bool
		unsets bool
		items  []string
		apply  []string
	}{
		{"", "", false, false, nil, []string{"A=old", "AB=c"}},
		{"\x00", "", false, false, nil, []string{"A=old", "AB=c"}},
		{"+A=1\x00", "1", true, false, []string{"+A=1"}, []string{"AB=c", "A=1"}},
		{"+A=1\x00-A\x00", "", false, true, []string{"+A=1", "-A"}, []string{"AB=c"}},
		{"-A\x00+A=2\x00", "2", true, false, []string{"-A", "+A=2"}, []string{"AB=c", "A=2"}},
		{"+AB=1\x00-B\x00", "", false, false, []string{"+AB=1", "-B"}, []string{"A=old", "AB=1"}},
	} {
		d := Decision{vars: c.record}
		if value, set := d.Lookup("A"); value != c.value || set != c.set {
			t.Errorf("%q: A is %q, %v", c.record, value, set)
		}
		if got := d.Unsets("A"); got != c.unsets {
			t.Errorf("%q: unsets %v", c.record, got)
		}
		var items []string
		d.Items(func(item string, set bool) { items = append(items, map[bool]string{true: "+", false: "-"}[set]+item) })
		if !slices.Equal(items, c.items) {
			t.Errorf("%q: items %q", c.record, items)
		}
		if got := d.Apply([]string{"A=old", "AB=c"}); !slices.Equal(got, c.apply) {
			t.Errorf("%q: environment %q, want %q", c.record, got, c.apply)
		}
	}
}

// TestSomethingWithoutNames: no text needs the names of clients but one that
// says so.
func TestSomethingWithoutNames(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"": false, "1.2.3.4:deny": false, "joe@1.2.3.4:deny": false, "joe@=x:deny": true, "=x:deny": true, "=:deny": true} {
		r, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.UsesNames(); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
