package queuectl

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/priv"
	"postrider/internal/queuedir"
)

// newSoundHome makes an installation of the tests' user as qmail-setup does.
func newSoundHome(t *testing.T) (string, queuedir.Layout) {
	t.Helper()
	home := t.TempDir()
	for _, e := range priv.Tree()[1:] {
		path := filepath.Join(home, e.Path)
		var err error
		if e.File {
			err = os.WriteFile(path, nil, 0o600)
		} else if err = os.Mkdir(path, 0o700); err == nil {
			err = os.Chmod(path, e.Mode)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() == 0 { // a private installation has another owner
		own(t, home)
	}
	return home, queuedir.At(home)
}

func own(t *testing.T, home string) {
	t.Helper()
	err := filepath.WalkDir(home, func(path string, _ os.DirEntry, err error) error {
		if err == nil {
			err = os.Lchown(path, 12345, 12345)
		}
		return err
	})
	if err == nil { // chown takes the setgid bit away
		err = os.Chmod(home+"/queue/drop", os.ModeSetgid|os.ModeSticky|0o733)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestCheck: exit codes, words for people and lines for programs.
func TestCheck(t *testing.T) {
	t.Parallel()
	home, l := newSoundHome(t)
	if out := must(t, home, "check"); !strings.Contains(out, "messages that are whole: 0") || !strings.Contains(out, "the queue is sound") {
		t.Errorf("got %s", out)
	}
	put(t, l.Tmp()+"/"+queuedir.NewID(born(), 0, 7).String(), "half")
	if code, out, _ := call(t, home, "check"); code != 1 || !strings.Contains(out, "    then: qmail-spool removes it") || !strings.Contains(out, "takes care of: 1; somebody must look at: 0") {
		t.Errorf("exit %d: %s", code, out)
	}
	const hostile = "x\nnew-08: is fine\x1b[2J\xff"
	put(t, l.NewDir("07")+"/"+hostile, "")
	code, out, _ := call(t, home, "check")
	if code != 2 || strings.Contains(out, "\nnew-08") || strings.Contains(out, "\x1b") || !strings.Contains(out, `"new/07/x\nnew-08`) {
		t.Errorf("exit %d: %s", code, out)
	}
	code, out, _ = call(t, home, "check", "--json")
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	var last struct{ Summary checked }
	if code != 2 || len(lines) != 3 || json.Unmarshal([]byte(lines[2]), &last) != nil || last.Summary.Own != 1 || last.Summary.Hands != 1 {
		t.Errorf("exit %d: %s", code, out)
	}
	for _, line := range lines[:2] {
		var f finding
		if err := json.Unmarshal([]byte(line), &f); err != nil || f.Path == "" || f.Kind == "" || f.Level == "" || f.Becomes == "" || f.Do == "" {
			t.Errorf("%s: %v", line, err)
		}
	}
	if code, out, _ = call(t, home, "check", "--repair"); code != 2 || !strings.Contains(out, "    done: moved to bad/found.1") || !strings.Contains(out, "put right: 1") {
		t.Errorf("exit %d: %s", code, out)
	}
	if code, _, stderr := call(t, home, "check", queuedir.NewID(born(), 0, 7).String()); code != 100 || stderr == "" {
		t.Errorf("with a number: exit %d, %s", code, stderr)
	}
	if err := os.Rename(l.Root, l.Root+".away"); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := call(t, home, "check"); code != 111 || stderr == "" {
		t.Errorf("without a queue: exit %d, %s", code, stderr)
	}
}
