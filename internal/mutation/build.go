package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// program is a test program with all mutants of a package.
type program struct {
	path    string
	dir     string // of the package
	where   string // below the module's root
	mutants []mutant
}

// pkg is what go list says of a package.
type pkg struct {
	Dir, ImportPath, Name string
	GoFiles               []string
}

// buildMutants builds the tests of the package in dir with its mutants, and
// leaves out those that do not compile.
func buildMutants(dir, work string) (program, error) {
	var p pkg
	out, err := exec.Command("go", "list", "-json=Dir,ImportPath,Name,GoFiles", dir).Output()
	if err == nil {
		err = json.Unmarshal(out, &p)
	}
	if err != nil {
		return program{}, fmt.Errorf("go list: %w", err)
	}
	dropped := map[string]drop{}
	for {
		mutants, overlay, err := writeMutants(p, work, dropped)
		if err != nil {
			return program{}, err
		}
		_, where, _ := strings.Cut(p.ImportPath, "/")
		built := program{filepath.Join(work, "tests"), p.Dir, where, mutants}
		build := exec.Command("go", "test", "-c", "-vet=off", "-gcflags=-e", "-overlay", overlay, "-o", built.path, p.ImportPath)
		said, err := build.CombinedOutput()
		if err == nil {
			return built, nil
		}
		if !dropLines(dropped, string(said)) {
			return program{}, errors.New(string(said))
		}
	}
}

// complaint is how the compiler begins one, whatever the directory. Far to the
// right there is no column.
var complaint = regexp.MustCompile(`(?m)^(?:[^\s:]*/)?([^\s:/]+\.go:\d+):(?:\d+:)? `)

// dropLines notes the lines that the compiler complains about, and reports
// whether there was something to note.
func dropLines(dropped map[string]drop, said string) (progress bool) {
	lines := map[string]bool{}
	for _, found := range complaint.FindAllStringSubmatch(said, -1) {
		lines[found[1]] = true
	}
	for line := range lines {
		if dropped[line] < dropAll {
			dropped[line]++
			progress = true
		}
	}
	return progress
}

// writeMutants writes the mutated files and the list of those that they stand
// for.
func writeMutants(p pkg, work string, dropped map[string]drop) (mutants []mutant, overlay string, err error) {
	m := mutator{dropped: dropped}
	replace := map[string]string{}
	write := func(name string, text []byte) error {
		copied := filepath.Join(work, name)
		replace[filepath.Join(p.Dir, name)] = copied
		return os.WriteFile(copied, text, 0o600)
	}
	for _, name := range p.GoFiles {
		src, err := os.ReadFile(filepath.Join(p.Dir, name))
		if err != nil {
			return nil, "", err
		}
		text, err := m.rewrite(name, src)
		if err == nil {
			err = write(name, text)
		}
		if err != nil {
			return nil, "", err
		}
	}
	if err := write("mutant_runtime.go", []byte(runtime(p.Name))); err != nil {
		return nil, "", err
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return nil, "", err
	}
	overlay = filepath.Join(work, "overlay.json")
	return m.mutants, overlay, os.WriteFile(overlay, list, 0o600)
}

// names are those of the mutants, which stay when lines move: the n-th of a file
// that says the same has its number behind it.
func (p program) names() []string {
	seen := map[string]int{}
	names := make([]string, len(p.mutants))
	for i, m := range p.mutants {
		name := p.where + "/" + m.file + ": " + m.text
		if seen[name]++; seen[name] > 1 {
			name = fmt.Sprintf("%s #%d", name, seen[name])
		}
		names[i] = name
	}
	return names
}
