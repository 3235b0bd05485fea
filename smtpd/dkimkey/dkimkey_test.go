package dkimkey

import (
	"crypto/ed25519"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/world"
)

// run runs qmail-dkimkey.
func run(t *testing.T, home string, args ...string) (out string, status int) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	status = Main(world.World{Args: append([]string{"qmail-dkimkey"}, args...), Home: home, Stdout: f, Stderr: f})
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), status
}

func TestKeys(t *testing.T) {
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, "control"), 0o755); err != nil {
		t.Fatal(err)
	}
	out, status := run(t, home, "Example.ORG", "S1")
	if status != 0 || !strings.HasPrefix(out, "# control/domainkeys/example.org/s1 is made. In the DNS:\ns1._domainkey.example.org. IN TXT ( \"v=DKIM1; k=rsa; p=MII") ||
		!strings.HasSuffix(out, "\nexample.org s1 example.org/s1\n") {
		t.Errorf("status %d: %s", status, out)
	}
	again, status := run(t, home, "-a", "ed25519", "example.org", "s1")
	if status != 0 || again != strings.Replace(out, "is made", "is there already", 1) {
		t.Errorf("the key did not stay: %d, %s", status, again)
	}
	out, status = run(t, home, "-a", "ed25519", "example.org", "e1", "mine")
	public, err := readPublic(filepath.Join(home, "control/domainkeys/mine"))
	if err != nil {
		t.Fatal(err)
	}
	if _, is := public.(ed25519.PublicKey); !is || status != 0 || !strings.Contains(out, "\nexample.org e1 mine\n") {
		t.Errorf("status %d: %s", status, out)
	}
	for path, mode := range map[string]os.FileMode{"control/domainkeys/example.org": 0o700 | os.ModeDir, "control/domainkeys/mine": 0o600} {
		if info, err := os.Stat(filepath.Join(home, path)); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(home, "control/domainkeys/*/.new*")); len(left) > 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
	for _, args := range []string{"", "example.org", "example s1", "example.org s;1", "example.org s1 ../k", "example.org s1 k x", "-a dsa example.org s1", "-x"} {
		if out, status := run(t, home, strings.Fields(args)...); status != exitUsage || !strings.HasSuffix(out, usage+"\n") {
			t.Errorf("%s: status %d, %s", args, status, out)
		}
	}
	if err := os.WriteFile(filepath.Join(home, "control/domainkeys/bad"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bad", "mine/x"} {
		if out, status := run(t, home, "example.org", "s1", name); status == 0 {
			t.Errorf("%s: %s", name, out)
		}
	}
}
