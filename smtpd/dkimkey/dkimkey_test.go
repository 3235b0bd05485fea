package dkimkey

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

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

// TestNothingIsShownThatMayBeLost: the key, its name and those of its directories
// are synced in this order, whoever made them, and before anything is said.
func TestNothingIsShownThatMayBeLost(t *testing.T) {
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, "control"), 0o755); err != nil {
		t.Fatal(err)
	}
	o := order{algorithm: "ed25519", domain: "example.org", selector: "e1", name: "example.org/e1"}
	const want = "control/domainkeys/example.org/e1 control/domainkeys/example.org control/domainkeys control"
	for _, what := range []string{"made now", "there already"} {
		var synced []string
		text, err := o.run(home, func(path string) error {
			name, err := filepath.Rel(home, path)
			synced = append(synced, name)
			return err
		})
		if got := strings.Join(synced, " "); err != nil || got != want || !strings.Contains(text, "v=DKIM1") {
			t.Errorf("%s: %v, %s, synced %s", what, err, text, got)
		}
		for _, lost := range synced {
			text, err := o.run(home, func(path string) error {
				if path == filepath.Join(home, lost) {
					return unix.EIO
				}
				return nil
			})
			if !errors.Is(err, unix.EIO) || text != "" {
				t.Errorf("%s, and %s is not durable: %v, %s", what, lost, err, text)
			}
		}
	}
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
	if out, status := run(t, home, "-r", "-a", "ed25519", "example.org", "e1", "mine"); status != 0 || !strings.Contains(out, `"v=DKIM1; k=ed25519; s=tlsrpt; p=`) {
		t.Errorf("for reports: status %d: %s", status, out)
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
	// What qmail-tlskey would not sign with gets no record.
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "control/domainkeys/ecdsa"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bad", "ecdsa", "mine/x"} {
		if out, status := run(t, home, "example.org", "s1", name); status == 0 || strings.Contains(out, "v=DKIM1") {
			t.Errorf("%s: %s", name, out)
		}
	}
}
