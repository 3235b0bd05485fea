package getent

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/internal/accounts"
)

func TestIsName(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"joe", "j0e", "0x", "joe.b", "DOM\\joe", "joe@dom", "a1", "_x$"} {
		if !IsName(s) {
			t.Errorf("%q is none", s)
		}
	}
	for _, s := range []string{"", "0", "1000", "-x", "--help", "a b", "a:b", "a/b", "a\n", "\xc3\xa4", strings.Repeat("x", 33)} {
		if IsName(s) {
			t.Errorf("%q is one", s)
		}
	}
}

// program is a getent that does what a script says.
func program(t *testing.T, script string) Program {
	t.Helper()
	path := filepath.Join(t.TempDir(), "getent")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return Program{Path: path, Limit: time.Minute}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	const joe = "joe:x:1001:1002:Joe:/home/joe:/bin/sh"
	for _, c := range []struct {
		name, script, probe string
		needs               bool
		want                string // a home, "unknown", "away"
	}{
		{"found", "[ \"$*\" = 'passwd joe' ] && echo " + joe, "", false, "/home/joe"},
		{"found, and the server needs a probe", "echo " + joe, "", true, "/home/joe"},
		{"found beside the probe", "echo " + joe + "; echo canary:x:1:1::/:", "canary", true, "/home/joe"},
		{"missing", "exit 2", "", false, "unknown"},
		{"missing, or the server is away", "exit 2", "", true, "away"},
		{"missing, and the probe is there", "echo canary:x:1:1::/:; exit 2", "canary", true, "unknown"},
		{"the probe is not there", "exit 2", "canary", true, "away"},
		{"another account", "echo jim:x:1:1::/:", "", false, "away"},
		{"nonsense", "echo joe", "", false, "away"},
		{"cut", "printf " + joe, "", false, "away"},
		{"exit code", "exit 1", "", false, "away"},
		{"crash", "kill -9 $$", "", false, "away"},
		{"too much", "yes " + joe, "", false, "away"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := program(t, c.script)
			p.Probe, p.NeedsProbe = c.probe, c.needs
			a, err := p.Lookup("joe")
			got := a.Home
			switch {
			case errors.Is(err, accounts.ErrUnknown):
				got = "unknown"
			case err != nil:
				got = "away"
			}
			if got != c.want {
				t.Errorf("got %s (%v), want %s", got, err, c.want)
			}
		})
	}
}

// Of many names asked for at once each has the answer that it has alone.
func TestLookupAll(t *testing.T) {
	t.Parallel()
	line := func(name string) string { return "echo " + name + ":x:1001:1002::/home/" + name + ":/bin/sh\n" }
	// A getent that says each name is there that begins with "j".
	const real = `shift; exit=0; for name; do case $name in j*|canary) echo $name:x:1001:1002::/home/$name:/bin/sh;; *) exit=2;; esac; done; exit $exit`
	for _, c := range []struct {
		name, script, probe string
		needs               bool
		want                string // of joe, jim and nobody
	}{
		{"each", real, "", false, "joe jim unknown"},
		{"beside the probe", real, "canary", true, "joe jim unknown"},
		{"the server may be away", real, "", true, "joe jim away"},
		{"the server is away", real, "gone", true, "joe jim away"},
		// One name has another account: which one is not known.
		{"another account", `shift; for name; do case $name in nobody) echo jack:x:1:1::/:/;; *) ` + strings.TrimSpace(line("$name")) + `;; esac; done`, "", false, "joe jim away"},
		{"the same account", `echo joe:x:1:1::/home/joe:; [ $# = 4 ] && { echo joe:x:1:1::/home/joe:; echo jim:x:1:1::/home/jim:; exit 2; }; [ $2 = jim ] && echo jim:x:1:1::/home/jim:; exit 0`, "", false, "joe jim away"},
		{"one crashes it", `case "$*" in *nobody*) kill -9 $$;; esac; shift; ` + real[len("shift; "):], "", false, "joe jim away"},
		{"one makes nonsense of it", `case "$*" in *nobody*) echo x;; esac; ` + real, "", false, "joe jim away"},
		{"exit code", "exit 1", "", false, "away away away"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := program(t, c.script)
			p.Probe, p.NeedsProbe = c.probe, c.needs
			var got []string
			for _, a := range p.LookupAll([]string{"joe", "jim", "nobody"}) {
				switch {
				case errors.Is(a.Err, accounts.ErrUnknown):
					got = append(got, "unknown")
				case a.Err != nil:
					got = append(got, "away")
				default:
					got = append(got, filepath.Base(a.Account.Home))
				}
			}
			if got := strings.Join(got, " "); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// A run that hangs ends, with what it has started.
func TestLookupHangs(t *testing.T) {
	t.Parallel()
	p := program(t, "sleep 1000 & wait")
	p.Limit = 50 * time.Millisecond
	if _, err := p.Lookup("joe"); err == nil || errors.Is(err, accounts.ErrUnknown) {
		t.Errorf("error %v", err)
	}
	p.Path += ".none"
	if _, err := p.Lookup("joe"); err == nil || errors.Is(err, accounts.ErrUnknown) {
		t.Errorf("error %v", err)
	}
}

// The real one agrees with /etc/passwd.
func TestRealGetent(t *testing.T) {
	t.Parallel()
	p := Program{Path: Path, Limit: time.Minute}
	want, err := accounts.Lookup("root")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := p.Lookup("root"); got != want || err != nil {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if _, err := p.Lookup("nobody.of.that.name"); !errors.Is(err, accounts.ErrUnknown) {
		t.Errorf("error %v", err)
	}
}

// A server that is away costs names that are asked for together one run more than
// one name, and a name that alone has no answer is not waited for twice.
func TestLookupAllHangs(t *testing.T) {
	t.Parallel()
	runs := filepath.Join(t.TempDir(), "runs")
	p := program(t, "echo >> "+runs+"; case $2 in joe) [ $# = 2 ] && echo joe:x:1:1::/home/joe: && exit;; esac; sleep 1000")
	p.Limit = 2 * time.Second
	for i, a := range p.LookupAll([]string{"joe", "jim", "jack", "jill"}) {
		if i == 0 && (a.Err != nil || a.Account.Home != "/home/joe") || i > 0 && (a.Err == nil || errors.Is(a.Err, accounts.ErrUnknown)) {
			t.Errorf("%d: %+v", i, a)
		}
	}
	if text, err := os.ReadFile(runs); err != nil || len(text) != 3 {
		t.Errorf("%d runs, %v", len(text), err)
	}
}

func FuzzJudge(f *testing.F) {
	f.Add("joe", "", "joe:x:1001:1002:Joe:/home/joe:/bin/sh\n", 0)
	f.Add("joe", "canary", "canary:x:1:1::/:\n", 2)
	f.Fuzz(func(t *testing.T, name, probe, output string, exit int) {
		a, err := judge(name, probe, true, output, exit)
		switch {
		case err == nil && a.Name != name:
			t.Errorf("%+v for %q", a, name)
		case errors.Is(err, accounts.ErrUnknown) && (probe == "" || !strings.Contains(output, probe)):
			t.Errorf("unknown by %q", output)
		}
		// Asked for with others, the name has the same answer or none.
		found, others := judgeAll([]string{"jim", name}, probe, true, output, exit)
		if other, known := found[name]; known && (err != nil || other != a) || !known && others != nil && (err == nil || !errors.Is(err, others)) {
			t.Errorf("%q: %+v, %v; with others %+v, %v", name, a, err, other, others)
		}
	})
}
