package start

import (
	"os"
	"strings"
	"testing"

	"postrider/internal/control"
	"postrider/internal/wire/parent"
	"postrider/internal/wire/rewriting"
)

// The secret reaches qmail-send and qmail-lookup, and nobody else.
func TestSecretIsHandedOver(t *testing.T) {
	t.Parallel()
	set := someSettings(1, "qmail-smtpd")
	set.rewriting = []byte("a secret")
	for _, m := range set.plan(sockets{}).members {
		told := false
		for _, gift := range m.gifts {
			told = told || gift.Kind == parent.Rewriting
			if gift.Kind != parent.Rewriting && strings.Contains(string(gift.Data), "a secret") {
				t.Errorf("%s is told in frame %c", m.name, gift.Kind)
			}
		}
		if want := m.name == "qmail-send" || m.name == "qmail-lookup"; told != want {
			t.Errorf("%s is told: %v", m.name, told)
		}
	}
}

func TestReadRewriting(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdef\n"
	for _, c := range []struct {
		name, text string
		mode       os.FileMode
		ok         bool
	}{
		{"sound", secret, 0o600, true},
		{"two", secret + "an older secret of mine\n", 0o400, true},
		{"others may read", secret, 0o640, false},
		{"short", "secret\n", 0o600, false},
		{"empty", "", 0o600, false},
	} {
		home := newHome(t)
		writeControl(t, home, "me", "mx.example\n")
		writeControl(t, home, "srssecret", c.text)
		if err := os.Chmod(home+"/control/srssecret", c.mode); err != nil {
			t.Fatal(err)
		}
		data, err := readRewriting(control.Dir(home + "/control"))
		if c.ok != (err == nil) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil {
			if strings.Contains(err.Error(), strings.TrimSpace(secret)) {
				t.Errorf("%s: the secret is in %v", c.name, err)
			}
			continue
		}
		if told, err := rewriting.Parse(data); err != nil || told.Domain != "mx.example" {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if data, err := readRewriting(control.Dir(newHome(t) + "/control")); data != nil || err != nil {
		t.Errorf("without a secret: %q, %v", data, err)
	}
}

// qmail-nss is there if it is wanted, linked to those who ask it.
func TestNSSIsInThePlan(t *testing.T) {
	t.Parallel()
	for _, want := range []bool{false, true} {
		set := someSettings(1, "qmail-smtpd")
		set.asksNSS = want
		links := 0
		for _, l := range newPlan(set).links {
			if l.aName == parent.NSS && l.b.name == "qmail-nss" {
				links++
			}
		}
		if got := newPlan(set).member("qmail-nss") != nil; got != want || want != (links == 2) {
			t.Errorf("%v: there %v, %d links", want, got, links)
		}
	}
}
