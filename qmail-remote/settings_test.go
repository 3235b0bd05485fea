package qmailremote

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"postrider/internal/clock"
)

// home makes a qmail home directory with control files.
func home(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "control"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		writeFile(t, filepath.Join(dir, "control", name), text)
	}
	return dir
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		files   map[string]string
		helo    string // empty: an error
		connect time.Duration
		remote  time.Duration
	}{
		{"defaults", map[string]string{"me": "me.example\n"}, "me.example", 60 * time.Second, 1200 * time.Second},
		{"all set", map[string]string{"me": "me.example\n", "helohost": "helo.example\n", "timeoutconnect": "7\n", "timeoutremote": "8\n"},
			"helo.example", 7 * time.Second, 8 * time.Second},
		{"helohost without me", map[string]string{"helohost": "helo.example"}, "helo.example", 60 * time.Second, 1200 * time.Second},
		{"timeouts beyond reason", map[string]string{"me": "me.example", "timeoutremote": "999999999999"}, "me.example", 60 * time.Second, maxTimeout * time.Second},
		{"neither", nil, "", 0, 0},
		{"empty helohost", map[string]string{"me": "me.example", "helohost": "\n"}, "", 0, 0},
		{"helohost with CR", map[string]string{"helohost": "helo.example\r\n"}, "", 0, 0},
		{"helohost with a blank", map[string]string{"helohost": "helo example\n"}, "", 0, 0},
	} {
		f := &settingsFiles{home: home(t, c.files), resolvConf: "/nonexistent", clock: clock.Real()}
		set, err := f.current()
		switch {
		case c.helo == "" && err == nil:
			t.Errorf("%s: no error", c.name)
		case c.helo == "":
		case err != nil:
			t.Errorf("%s: %v", c.name, err)
		case set.helo != c.helo || set.connectTimeout != c.connect || set.remoteTimeout != c.remote:
			t.Errorf("%s: %+v", c.name, *set)
		}
	}
}

// TestSettingsFollowFiles: a change counts for the next message, and without
// one nothing is read again.
func TestSettingsFollowFiles(t *testing.T) {
	t.Parallel()
	dir := home(t, map[string]string{"me": "me.example\n", "smtproutes": "d:one\n"})
	resolv := filepath.Join(dir, "resolv.conf")
	writeFile(t, resolv, "nameserver 127.0.0.1\n")
	// The files were changed long ago as this clock sees it.
	f := &settingsFiles{home: dir, resolvConf: resolv, clock: &manualClock{now: time.Now().Add(time.Hour)}}
	get := func() *settings {
		t.Helper()
		set, err := f.current()
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	first := get()
	if get() != first {
		t.Error("read again without a change")
	}
	writeFile(t, filepath.Join(dir, "control", "smtproutes"), "d:another\n")
	second := get()
	if second.routes["d"] != "another" {
		t.Errorf("routes %v", second.routes)
	}
	if second.dns != first.dns {
		t.Error("a change of routes empties the DNS cache")
	}
	if err := os.Remove(filepath.Join(dir, "control", "smtproutes")); err != nil {
		t.Fatal(err)
	}
	if set := get(); len(set.routes) != 0 {
		t.Errorf("routes %v", set.routes)
	}
	writeFile(t, filepath.Join(dir, "control", "outgoingip"), "192.0.2.9\n")
	if set := get(); len(set.sources) != 1 {
		t.Errorf("a new file has no effect: %v", set.sources)
	}
	writeFile(t, resolv, "nameserver 127.0.0.2\n")
	if get().dns == first.dns {
		t.Error("a change of resolv.conf has no effect")
	}
	writeFile(t, filepath.Join(dir, "control", "me"), "")
	if _, err := f.current(); err == nil {
		t.Error("an empty control/me is no error")
	}
	writeFile(t, filepath.Join(dir, "control", "me"), "new.example\n")
	if get().helo != "new.example" {
		t.Error("an error stays")
	}
}

// TestSettingsYoungFile: what changed a moment ago is not kept, since another
// change of the same size within the clock's grain would not show.
func TestSettingsYoungFile(t *testing.T) {
	t.Parallel()
	f := &settingsFiles{home: home(t, map[string]string{"me": "me.example\n"}), resolvConf: "/nonexistent", clock: clock.Real()}
	a, _ := f.current()
	b, _ := f.current()
	if a == b {
		t.Error("kept")
	}
}

func writeMode(t testing.TB, path, text string, mode uint32) {
	t.Helper()
	writeFile(t, path, text)
	if err := os.Chmod(path, os.FileMode(mode)); err != nil {
		t.Fatal(err)
	}
}
