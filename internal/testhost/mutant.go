package testhost

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Mutant is a program of the suite with a fault in it that a test must find.
type Mutant struct {
	Program  string
	File     string // of the source, below the module's root
	Old, New string // Old is in the file once
}

// InstallMutant builds a mutant and puts it in the place of the program. root
// is the module's.
func (h *Host) InstallMutant(root string, m Mutant) {
	h.t.Helper()
	root, err := filepath.Abs(root)
	if err != nil {
		h.t.Fatal(err)
	}
	overlay := m.overlay(h, root)
	outside, inside, err := Shared("mutants")
	if err != nil {
		h.t.Fatal(err)
	}
	file, err := os.CreateTemp(outside, m.Program)
	if err != nil {
		h.t.Fatal(err)
	}
	file.Close()
	defer os.Remove(file.Name())
	build := exec.Command("go", "build", "-buildvcs=false", "-overlay", overlay, "-o", file.Name(), "./cmd/"+m.Program)
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		h.t.Fatalf("%v\n%s", err, out)
	}
	h.Must("cp", inside+"/"+filepath.Base(file.Name()), "/var/qmail/bin/"+m.Program)
}

// overlay writes the changed source and the file that tells the go command
// about it.
func (m Mutant) overlay(h *Host, root string) string {
	h.t.Helper()
	source := filepath.Join(root, m.File)
	text, err := os.ReadFile(source)
	if err != nil {
		h.t.Fatal(err)
	}
	if strings.Count(string(text), m.Old) != 1 {
		h.t.Fatalf("%s does not hold %q once", m.File, m.Old)
	}
	dir := h.t.TempDir()
	changed := filepath.Join(dir, "changed.go")
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {source: changed}})
	if err == nil {
		err = os.WriteFile(changed, []byte(strings.Replace(string(text), m.Old, m.New, 1)), 0o600)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return filepath.Join(dir, "overlay.json")
}
