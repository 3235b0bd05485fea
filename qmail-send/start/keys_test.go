package start

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"postrider/internal/clock"
	"postrider/internal/fdpass"
	"postrider/internal/listener"
	"postrider/internal/wire/parent"
)

// keyDir is a control directory with files of the given modes.
func keyDir(t *testing.T, files map[string]os.FileMode) keyFiles {
	t.Helper()
	k := keyFiles{t.TempDir(), uint32(os.Getuid())}
	for name, mode := range files {
		path := filepath.Join(k.control, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

func TestOpenKeys(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		files map[string]os.FileMode
		want  string // names, or a part of the error
	}{
		{"one", map[string]os.FileMode{"servercert.pem": 0o600}, "K: C:"},
		{"several", map[string]os.FileMode{"servercert.pem": 0o400, "servercerts/B.example/servercert.pem": 0o600, "servercerts/a/servercert.pem": 0o600,
			"servercerts/README": 0o644, "servercerts/.git/x": 0o644, "servercerts/empty/x": 0o644}, "K: K:b.example K:a C:"},
		{"none", nil, "no such file"},
		{"others can read it", map[string]os.FileMode{"servercert.pem": 0o640}, "mode 0640"},
		{"others can read a further one", map[string]os.FileMode{"servercert.pem": 0o600, "servercerts/a/servercert.pem": 0o604}, "servercerts/a/servercert.pem"},
		{"a directory", map[string]os.FileMode{"servercert.pem/x": 0o600}, "no regular file"},
	} {
		frames, err := keyDir(t, c.files).open()
		var got []string
		for _, f := range frames {
			got = append(got, string(f.Kind)+":"+f.Name)
		}
		closeKeys(frames)
		if text := strings.Join(got, " "); err == nil && text != c.want || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %s, %v, want %s", c.name, text, err, c.want)
		}
	}
	k := keyDir(t, map[string]os.FileMode{"servercert.pem": 0o600})
	k.owner++
	if frames, err := k.open(); err == nil {
		closeKeys(frames)
		t.Error("a key of somebody else's is taken")
	}
}

func TestTooManyKeys(t *testing.T) {
	t.Parallel()
	files := map[string]os.FileMode{"servercert.pem": 0o600}
	for i := range maxKeys {
		files["servercerts/"+strings.Repeat("x", i+1)+"/servercert.pem"] = 0o600
	}
	if frames, err := keyDir(t, files).open(); err == nil {
		closeKeys(frames)
		t.Error("taken")
	}
}

// Without a key there is no qmail-tlskey, and no port for TLS.
func TestReadKeys(t *testing.T) {
	t.Parallel()
	port := func(words ...string) settings {
		return settings{remotes: 1, endpoints: []endpoint{{Address: listener.Address{}, service: service{program: "qmail-smtpd", listener: parent.ListenSMTP}, words: words}}}
	}
	none, one := keyDir(t, nil), keyDir(t, map[string]os.FileMode{"servercert.pem": 0o600})
	for _, c := range []struct {
		name   string
		set    settings
		files  keyFiles
		tlskey bool
		err    string
	}{
		{"no key", port(), none, false, ""},
		{"a key", port(), one, true, ""},
		{"a port for TLS", port("tls"), one, true, ""},
		{"a port for TLS without a key", port("tls"), none, false, "needs control/servercert.pem"},
		{"no port", settings{remotes: 1}, one, false, ""},
	} {
		err := c.set.readKeys(c.files)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := newPlan(c.set).member("qmail-tlskey") != nil; got != c.tlskey {
			t.Errorf("%s: qmail-tlskey is planned: %v", c.name, got)
		}
		closeKeys(c.set.keys)
	}
}

// controlChannel makes m a member that runs, and returns its end.
func controlChannel(t *testing.T, m *member) *parent.Channel {
	t.Helper()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	if m.lines, err = parent.NewChannel(ours); err != nil {
		t.Fatal(err)
	}
	end, err := parent.NewChannel(theirs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end.Close(); m.lines.Close() })
	return end
}

// frames returns what has come, until a frame of the last kind.
func frames(t *testing.T, c *parent.Channel, last parent.Kind) (got string) {
	t.Helper()
	for {
		f, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		if f.File != nil {
			f.File.Close()
		}
		got += string(f.Kind) + ":" + f.Name + " "
		if f.Kind == last {
			return got
		}
	}
}

// The keys come before the link, new ones before a new link; and a link before
// a listening socket.
func TestKeysComeFirst(t *testing.T) {
	t.Parallel()
	k := keyDir(t, map[string]os.FileMode{"servercert.pem": 0o600, "servercerts/a/servercert.pem": 0o600})
	set := someSettings(1, "qmail-smtpd")
	if err := set.readKeys(k); err != nil {
		t.Fatal(err)
	}
	var log []string
	s := newSupervisor(newPlan(set), nil, clock.Real(), func(line string) { log = append(log, line) })
	tlskey, smtpd := s.plan.member("qmail-tlskey"), s.plan.member("qmail-smtpd")
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	smtpd.gifts = []parent.Frame{{Kind: parent.Listener, Name: parent.ListenSMTP, File: null}}
	atKey := controlChannel(t, tlskey)
	s.equip(tlskey)
	if got := frames(t, atKey, parent.Go); got != "K: K:a C: G: " {
		t.Errorf("qmail-tlskey gets %s", got)
	}
	atSMTPD := controlChannel(t, smtpd)
	s.equip(smtpd)
	if got := frames(t, atSMTPD, parent.Go); got != "L:sign S:listen.smtp G: " {
		t.Errorf("qmail-smtpd gets %s", got)
	}
	if got := frames(t, atKey, parent.Link); got != "L:sign.smtpd " {
		t.Errorf("then qmail-tlskey gets %s", got)
	}
	if err := os.RemoveAll(filepath.Join(k.control, "servercerts")); err != nil {
		t.Fatal(err)
	}
	s.signal(syscall.SIGHUP)
	if got := frames(t, atKey, parent.Link); got != "K: C: L:sign.smtpd " {
		t.Errorf("at HUP qmail-tlskey gets %s", got)
	}
	if got := frames(t, atSMTPD, parent.Link); got != "L:sign " {
		t.Errorf("at HUP qmail-smtpd gets %s", got)
	}
	if err := os.Chmod(filepath.Join(k.control, "servercert.pem"), 0o644); err != nil {
		t.Fatal(err)
	}
	before := len(tlskey.gifts)
	s.signal(syscall.SIGHUP)
	if len(log) != 1 || !strings.Contains(log[0], "the keys before it stay") || len(tlskey.gifts) != before {
		t.Errorf("log %q, %d gifts", log, len(tlskey.gifts))
	}
	closeKeys(tlskey.gifts)
}
