package faulttest

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// Open returns the names, in order, of what this process has open and whose name
// begins with prefix: a directory of one test, or "pipe:" or "socket:" in a test
// that runs alone.
func Open(t testing.TB, prefix string) (names []string) {
	t.Helper()
	const all = "/proc/self/fd"
	entries, err := os.ReadDir(all)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		// One that was closed meanwhile has no name any more.
		if name, err := os.Readlink(all + "/" + e.Name()); err == nil && strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
