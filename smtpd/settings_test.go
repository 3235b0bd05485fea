package smtpd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/internal/address"
	"postrider/internal/control"
)

// R79: what cannot be read is never a policy.
func TestBrokenControls(t *testing.T) {
	t.Parallel()
	down := "S: 421 4.3.0 unable to read controls (#4.3.0)\nS: <end>"
	runDialogues(t, []dialogue{
		{name: "NUL in rcpthosts", files: map[string]string{"rcpthosts": "exam\x00ple.com\n"}, script: down},
		{name: "a line that never ends", files: map[string]string{"rcpthosts": strings.Repeat("x", 100000)}, script: down},
		{name: "no name", files: map[string]string{"me": "-"}, script: down},
		{name: "an empty greeting", files: map[string]string{"smtpgreeting": "\n"}, script: down},
		{name: "a greeting with CR", files: map[string]string{"smtpgreeting": "mx\r\n"}, script: down},
		{name: "a number beyond 64 bits", files: map[string]string{"databytes": strings.Repeat("9", 200)}, script: down},
		{name: "rules with an error", files: map[string]string{"tcp.smtp": "127.:allow\n1.2.3:deny\n"}, script: down},
		{name: "a name of a server that is none", files: map[string]string{"authservid": "mx.example.org; spf=pass\n"}, script: down},
		{name: "NUL in badmailfrom", files: map[string]string{"badmailfrom": "\x00\n"}, script: down},
	})
	for _, name := range controlFiles {
		home := controlDir(t, map[string]string{name: "-", "rcpthosts": "-"}) // without it locals is read
		if err := os.Mkdir(filepath.Join(home, "control", name), 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := loadSettings(home, true); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is a directory: %v", name, err)
		}
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	s, err := loadSettings(controlDir(t, nil), true)
	if err != nil {
		t.Fatal(err)
	}
	if s.timeout != 1200*time.Second || s.sessionLimit != 4*time.Hour || s.databytes != 0 || s.maxRcpt != 50000 || s.concurrency != 1000 || s.concurrencyIP != 50 {
		t.Errorf("defaults: %+v", s)
	}
	s, err = loadSettings(controlDir(t, map[string]string{
		"timeoutsmtpd": "0\n", "timeoutsmtpdsession": "99999999999\n", "databytes": "4294967296 or so\n", "maxrcpt": "0\n",
		"concurrencysmtp": "7\n", "concurrencysmtpip": "3\n", "smtpgreeting": "a b\n", "localiphost": "ip\n",
	}), true)
	if err != nil {
		t.Fatal(err)
	}
	if s.timeout != time.Second || s.sessionLimit < 24*time.Hour || s.databytes != 1<<32 || s.maxRcpt != 1 || s.concurrency != 7 || s.concurrencyIP != 3 || s.greeting != "a b" || s.localIPHost != "ip" {
		t.Errorf("set: %+v", s)
	}
}

// The rules are the daemon's: tcpserver has its own.
func TestClassicDoesNotReadRules(t *testing.T) {
	t.Parallel()
	home := controlDir(t, map[string]string{"tcp.smtp": "nonsense\n"})
	if _, err := loadSettings(home, false); err != nil {
		t.Error(err)
	}
}

// Who has chosen ciphers is told that it has no effect.
func TestCiphersAreNotFollowed(t *testing.T) {
	t.Parallel()
	home := controlDir(t, map[string]string{"tlsserverciphers": "HIGH:!aNULL\n"})
	s, err := loadSettings(home, true)
	if err != nil || len(s.warnings) != 1 || !strings.HasPrefix(s.warnings[0], "control/tlsserverciphers is not followed: ") {
		t.Errorf("%v, warnings %q", err, s.warnings)
	}
}

// A change counts for the next connection; a file that was emptied a moment
// ago may be half written.
func TestControlsChange(t *testing.T) {
	t.Parallel()
	home := controlDir(t, nil)
	c := newControls(home)
	now := time.Now()
	lists := func(domain string) bool {
		t.Helper()
		now = now.Add(3 * control.Recheck)
		s, _, err := c.Get(now)
		if err != nil {
			t.Fatal(err)
		}
		a, err := address.New("x@" + domain)
		if err != nil {
			t.Fatal(err)
		}
		listed, err := s.hosts.Takes(a)
		if err != nil {
			t.Fatal(err)
		}
		return listed
	}
	if !lists("example.com") || lists("new.example") {
		t.Error("first read")
	}
	first, _, _ := c.Get(now)
	if second, fresh, _ := c.Get(now.Add(control.Recheck)); second != first || fresh {
		t.Error("read again without a change")
	}
	setControl(t, home, "rcpthosts", "new.example\n")
	if lists("example.com") || !lists("new.example") {
		t.Error("the change does not count")
	}
	setControl(t, home, "rcpthosts", "")
	now = time.Now()
	if !lists("new.example") {
		t.Error("a file that was just emptied counts")
	}
	now = now.Add(2 * control.Settle)
	if lists("new.example") {
		t.Error("an empty file never counts")
	}
	setControl(t, home, "tcp.smtp", "nonsense\n")
	if _, fresh, err := c.Get(now.Add(time.Second)); err == nil || !fresh || !strings.Contains(err.Error(), "tcp.smtp, line 1") {
		t.Errorf("an error is %v", err)
	}
	if err := os.Remove(filepath.Join(home, "control", "tcp.smtp")); err != nil {
		t.Fatal(err)
	}
	if _, fresh, err := c.Get(now.Add(2 * time.Second)); err != nil || !fresh {
		t.Errorf("the error stays: %v", err)
	}
}
