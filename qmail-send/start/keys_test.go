package start

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

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
