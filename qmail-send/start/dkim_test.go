package start

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"postrider/internal/clock"
	"postrider/internal/wire/parent"
)

// signs makes a control directory with control/dkimsign and keys.
func signs(t *testing.T, lines string, keys map[string]os.FileMode) keyFiles {
	t.Helper()
	files := make(map[string]os.FileMode)
	for name, mode := range keys {
		files["domainkeys/"+name] = mode
	}
	k := keyDir(t, files)
	if err := os.WriteFile(filepath.Join(k.control, "dkimsign"), []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	return k
}

// The keys of DKIM are in a process of their own, with a link to each worker.
func TestDKIMKeys(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, lines string
		keys        map[string]os.FileMode
		there       bool
		err         string
	}{
		{"nothing", "", nil, false, ""},
		{"nobody's mail", "example.org -\n", nil, false, ""},
		{"two keys", "example.org s k1\nexample.net s k1\nexample.org e k2\n", map[string]os.FileMode{"k1": 0o600, "k2": 0o400, "k3": 0o644}, true, ""},
		{"a key is missing", "example.org s k1\nexample.org e k2\n", map[string]os.FileMode{"k1": 0o600}, false, "domainkeys/k2"},
		{"others can read it", "example.org s k1\n", map[string]os.FileMode{"k1": 0o644}, false, "mode 0644"},
		{"not understood", "example.org s\n", nil, false, `dkimsign, line 1: "example.org s"`},
	} {
		set := settings{remotes: 2}
		err := set.readDKIM(signs(t, c.lines, c.keys))
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		links := 0
		p := newPlan(set)
		for _, l := range p.links {
			if l.a.role.Program == "qmail-remote" && l.aName == parent.DKIM && l.b.name == "qmail-tlskey dkim" {
				links++
			}
		}
		if there := p.member("qmail-tlskey") != nil; there != c.there || there != (links == 2) {
			t.Errorf("%s: there %v, %d links", c.name, there, links)
		}
		closeKeys(set.dkimKeys)
	}
}

func TestTooManyDKIMKeys(t *testing.T) {
	t.Parallel()
	var lines strings.Builder
	keys := make(map[string]os.FileMode)
	for i := range maxKeys + 1 {
		name := strings.Repeat("k", i%90+1) + strings.Repeat("j", i/90)
		keys[name] = 0o600
		lines.WriteString("x" + strings.Repeat("x", i%60) + strings.Repeat(".y", i/60) + ".example s " + name + "\n")
	}
	var set settings
	if err := set.readDKIM(signs(t, lines.String(), keys)); err == nil || !strings.Contains(err.Error(), "more than 100 keys") {
		t.Errorf("got %v", err)
	}
}

// At HUP the file counts that is there then.
func TestDKIMKeysAreRenewed(t *testing.T) {
	t.Parallel()
	k := signs(t, "example.org s k1\n", map[string]os.FileMode{"k1": 0o600, "k2": 0o600})
	set := someSettings(1, "qmail-smtpd")
	if err := set.readDKIM(k); err != nil {
		t.Fatal(err)
	}
	s := newSupervisor(newPlan(set), nil, clock.Real(), func(string) {})
	m := s.plan.member("qmail-tlskey")
	end := controlChannel(t, m)
	if err := os.WriteFile(filepath.Join(k.control, "dkimsign"), []byte("example.org s k2\nexample.org t k1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.signal(syscall.SIGHUP)
	defer func() { closeKeys(m.gifts) }()
	if got := frames(t, end, parent.KeysComplete); got != "K:"+parent.DKIMKey+"k1 K:"+parent.DKIMKey+"k2 C: " {
		t.Errorf("got %s", got)
	}
}
