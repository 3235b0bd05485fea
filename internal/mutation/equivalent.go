package main

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed equivalent
var files embed.FS

// readEquivalent returns the mutants that do the same as the code, with the
// reasons. A line of the list is the file, the mutant, and behind two slashes
// the reason.
func readEquivalent() (map[string]string, error) {
	text, err := files.ReadFile("equivalent")
	if err != nil {
		return nil, err
	}
	list := map[string]string{}
	for number, line := range strings.Split(string(text), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		name, why, ok := strings.Cut(line, " // ")
		if !ok {
			return nil, fmt.Errorf("equivalent, line %d: file: mutant // reason", number+1)
		}
		list[name] = "equivalent: " + why
	}
	return list, nil
}
