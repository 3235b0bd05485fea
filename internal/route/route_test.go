package route

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/control"
)

// vectorTable is the configuration of spec Appendix A.1.
func vectorTable() *Table {
	return &Table{
		locals: map[string]bool{"loc.example.org": true},
		virtual: map[string]string{
			"virt.example.org":    "joe-v",
			"user@v2.example.org": "jim",
			".sub.example.org":    "sub",
			"x.sub.example.org":   "",
		},
		percentHack: map[string]bool{"pct.example.org": true},
		envNoAtHost: "me.example.org",
	}
}

func TestOf(t *testing.T) {
	t.Parallel()
	vector := vectorTable()
	catchAll := &Table{
		locals:      map[string]bool{"host.org": true, "": false},
		virtual:     map[string]string{"": "all", "host.org": "never", ".de": "de", "user@b.de": "one", "empty.org": ""},
		percentHack: map[string]bool{"host.org": true, "other.org": true},
		envNoAtHost: "Host.ORG",
	}
	for _, tc := range []struct {
		name    string
		table   *Table
		in      string
		channel Channel
		out     string
	}{
		{"A.1 local", vector, "a@loc.example.org", Local, "a@loc.example.org"},
		{"A.1 virtual domain", vector, "info@virt.example.org", Local, "joe-v-info@virt.example.org"},
		{"A.1 virtual user, case kept", vector, "USER@V2.example.org", Local, "jim-USER@V2.example.org"},
		{"A.1 another user of that domain", vector, "o@v2.example.org", Remote, "o@v2.example.org"},
		{"A.1 empty value ends the search", vector, "q@x.sub.example.org", Remote, "q@x.sub.example.org"},
		{"A.1 suffix", vector, "q@y.sub.example.org", Local, "sub-q@y.sub.example.org"},
		{"A.1 percenthack", vector, "a%rem.org@pct.example.org", Remote, "a@rem.org"},
		{"A.1 no @", vector, "noat", Remote, "noat@me.example.org"},
		{"A.1 remote", vector, "b@rem.org", Remote, "b@rem.org"},
		{"suffix does not match the domain itself", vector, "q@sub.example.org", Remote, "q@sub.example.org"},
		{"local in any case", vector, "A@LOC.Example.org", Local, "A@LOC.Example.org"},
		{"local beats virtual", catchAll, "x@host.org", Local, "x@host.org"},
		{"no @ and local", catchAll, "x", Local, "x@Host.ORG"},
		{"percenthack twice", catchAll, "a%b.com%other.org@host.org", Local, "all-a@b.com"},
		{"percenthack with no percent", catchAll, "a@other.org", Local, "all-a@other.org"},
		{"percenthack takes the last percent", catchAll, "a%b%c.com@host.org", Local, "all-a%b@c.com"},
		{"catch-all", catchAll, "a@anything.com", Local, "all-a@anything.com"},
		{"longest first", catchAll, "a@b.de", Local, "de-a@b.de"},
		{"whole address first", catchAll, "USER@B.DE", Local, "one-USER@B.DE"},
		{"empty value beats the catch-all", catchAll, "a@empty.org", Remote, "a@empty.org"},
		{"last @ counts", vector, "a@loc.example.org@rem.org", Remote, "a@loc.example.org@rem.org"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			channel, out := tc.table.Of(tc.in)
			if channel != tc.channel || out != tc.out {
				t.Errorf("Of(%q) = %d, %q; want %d, %q", tc.in, channel, out, tc.channel, tc.out)
			}
		})
	}
}

func TestStrip(t *testing.T) {
	t.Parallel()
	r := vectorTable()
	for _, tc := range []struct{ name, in, want string }{
		{"virtual domain", "joe-v-info@virt.example.org", "info@virt.example.org"},
		{"suffix", "sub-q@y.sub.example.org", "q@y.sub.example.org"},
		{"not for a user@domain line", "jim-USER@V2.example.org", "jim-USER@V2.example.org"},
		{"another prefix", "joe-w@virt.example.org", "joe-w@virt.example.org"},
		{"no dash", "joe-vx@virt.example.org", "joe-vx@virt.example.org"},
		{"empty value", "x-q@x.sub.example.org", "x-q@x.sub.example.org"},
		{"not virtual", "a@rem.org", "a@rem.org"},
		{"no @", "a", "a"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := r.Strip(tc.in); got != tc.want {
				t.Errorf("Strip(%q) = %q, want %q", tc.in, got, tc.want)
			}
		})
	}
}

func FuzzOf(f *testing.F) {
	f.Add("a%rem.org@pct.example.org")
	f.Add("noat")
	f.Add("")
	f.Add("%@%%@pct.example.org@")
	table := vectorTable()
	f.Fuzz(func(t *testing.T, recipient string) {
		channel, rewritten := table.Of(recipient)
		if !strings.Contains(rewritten, "@") {
			t.Errorf("Of(%q) = %q, without a host", recipient, rewritten)
		}
		if channel != Local && channel != Remote {
			t.Errorf("Of(%q) is on channel %d", recipient, channel)
		}
		if !strings.HasSuffix(rewritten, table.Strip(rewritten)) {
			t.Errorf("Strip(%q) = %q", rewritten, table.Strip(rewritten))
		}
	})
}

func controls(t *testing.T, files map[string]string) control.Dir {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return control.Dir(dir)
}

func TestRead(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		files   map[string]string
		in      string
		channel Channel
		out     string
	}{
		{"me is local", map[string]string{"me": "Only.Me\n"}, "x@only.ME", Local, "x@only.ME"},
		{"me is where no @ goes", map[string]string{"me": "Only.Me\n"}, "x", Local, "x@Only.Me"},
		{"empty locals", map[string]string{"me": "only.me\n", "locals": ""}, "x", Remote, "x@only.me"},
		{"locals without me", map[string]string{"locals": "l.org\n"}, "x", Remote, "x@envnoathost"},
		{"last virtual line counts", map[string]string{"me": "m.org\n", "virtualdomains": "V.org:a\nv.org:b\n"}, "x@v.ORG", Local, "b-x@v.ORG"},
		{"percenthack in any case", map[string]string{"me": "m.org\n", "percenthack": "P.org\n"}, "a%m.org@p.ORG", Local, "a@m.org"},
		{"other letters keep their case", map[string]string{"me": "m.org\n", "locals": "\u00c4.org\n"}, "x@\u00e4.org", Remote, "x@\u00e4.org"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			table, err := Read(controls(t, tc.files))
			if err != nil {
				t.Fatal(err)
			}
			if channel, out := table.Of(tc.in); channel != tc.channel || out != tc.out {
				t.Errorf("Of(%q) = %v, %q; want %v, %q", tc.in, channel, out, tc.channel, tc.out)
			}
		})
	}
	if _, err := Read(controls(t, nil)); err == nil {
		t.Error("neither me nor locals is taken")
	}
	if _, err := Read(controls(t, map[string]string{"me": "m.org\n", "percenthack": "a\x00b\n"})); err == nil {
		t.Error("a file that cannot be read is taken")
	}
}

// Both files or neither; what is read only once stays.
func TestReread(t *testing.T) {
	t.Parallel()
	dir := controls(t, map[string]string{"me": "m.org\n"})
	old, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	fresh, failed, err := old.Reread(controls(t, map[string]string{"locals": "new.org\n", "virtualdomains": "v.org:joe\n"}))
	if err != nil {
		t.Fatal(failed, err)
	}
	for in, want := range map[string]string{"x": "x@m.org", "x@v.org": "joe-x@v.org"} {
		if _, out := fresh.Of(in); out != want {
			t.Errorf("Of(%q) = %q, want %q", in, out, want)
		}
	}
	if channel, _ := old.Of("x@new.org"); channel != Remote {
		t.Error("the old table changed")
	}
	for name, files := range map[string]map[string]string{
		"locals":         {"locals": "a\x00b\n"},
		"virtualdomains": {"locals": "new.org\n", "virtualdomains": "a\x00b:c\n"},
	} {
		if _, failed, err := old.Reread(controls(t, files)); err == nil || failed != name {
			t.Errorf("got %q, %v; want an error of %s", failed, err, name)
		}
	}
}
