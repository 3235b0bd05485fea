package start

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"postrider/internal/clock"
	"postrider/internal/wire/parent"
)

// The key of qmail-remote is in a process of its own, with a link to each
// worker, and renewed at HUP; only root may read its file.
func TestClientKey(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		files map[string]os.FileMode
		there bool
		err   string
	}{
		{"none", map[string]os.FileMode{"servercert.pem": 0o600}, false, ""},
		{"one", map[string]os.FileMode{clientCertFile: 0o600}, true, ""},
		{"others can read it", map[string]os.FileMode{clientCertFile: 0o644}, false, "mode 0644"},
	} {
		var set settings
		set.remotes = 2
		err := set.readClientKey(keyDir(t, c.files))
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		links := 0
		p := newPlan(set)
		for _, l := range p.links {
			if l.a.role.Program == "qmail-remote" && l.aName == parent.Sign && l.b.name == "qmail-tlskey client" {
				links++
			}
		}
		if there := p.member("qmail-tlskey") != nil; there != c.there || there != (links == 2) {
			t.Errorf("%s: there %v, %d links", c.name, there, links)
		}
		closeKeys(set.clientKey)
	}
}

func TestBothKeysAreRenewed(t *testing.T) {
	t.Parallel()
	k := keyDir(t, map[string]os.FileMode{"servercert.pem": 0o600, clientCertFile: 0o600})
	set := someSettings(1, "qmail-smtpd")
	if err := set.readKeys(k); err != nil {
		t.Fatal(err)
	}
	if err := set.readClientKey(k); err != nil {
		t.Fatal(err)
	}
	s := newSupervisor(newPlan(set), nil, clock.Real(), func(string) {})
	for _, m := range s.plan.members {
		want := map[string]string{"qmail-tlskey": "K: C: ", "qmail-tlskey client": "K:" + parent.ClientKey + " C: "}[m.name]
		if want == "" {
			continue
		}
		end := controlChannel(t, m)
		s.signal(syscall.SIGHUP)
		if got := frames(t, end, parent.KeysComplete); got != want {
			t.Errorf("%s gets %s", m.name, got)
		}
		defer closeKeys(m.gifts)
	}
}
