package checkpass

import (
	"os"
	"path/filepath"
	"testing"

	"postrider/internal/control"
	"postrider/internal/wire/auth"
)

// What cannot be asked is no refusal, and what the control file says counts with
// the next attempt.
func TestChecker(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	c := checker{control: control.Dir(dir), log: log}
	file := filepath.Join(dir, "checkpassword")
	for _, step := range []struct {
		line       string // "": there is no file
		ok, unsure bool
	}{
		{"", false, true}, {"true", false, true}, {" ", false, true}, {"/nonexistent /bin/true", false, true},
		{"/bin/false", false, false}, {"/bin/true", true, false}, {"", false, true},
	} {
		if step.line == "" {
			err = os.RemoveAll(file)
		} else {
			err = os.WriteFile(file, []byte(step.line+"\n"), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		ok, err := c.Password(auth.Attempt{User: "joe", Client: "192.0.2.1"}, []byte("secret"))
		if ok != step.ok || (err != nil) != step.unsure {
			t.Errorf("%q: %v, %v", step.line, ok, err)
		}
		ok, err = c.CRAM(auth.Attempt{User: "joe", Client: "192.0.2.1"}, []byte("<1@x>"), make([]byte, auth.DigestSize))
		if ok != step.ok || (err != nil) != step.unsure {
			t.Errorf("%q, CRAM-MD5: %v, %v", step.line, ok, err)
		}
	}
	if _, _, err := c.Salt(auth.Attempt{User: "joe"}); err == nil {
		t.Error("a program has a salt")
	}
	if _, ok, err := c.Proof(auth.Attempt{User: "joe"}, nil, make([]byte, auth.ProofSize)); ok || err == nil {
		t.Error("a program has checked a proof of SCRAM")
	}
}
