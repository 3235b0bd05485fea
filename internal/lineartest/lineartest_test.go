package lineartest

import (
	"strings"
	"testing"
)

// A parser that looks at all that comes behind each octet is found at once, and
// one that copies what it has with each line.
func TestCheckFindsQuadratic(t *testing.T) {
	kept, seen := "", 0
	for name, parse := range map[string]func(string){
		"looks again": func(text string) {
			for i := range len(text) {
				for j := i; j < len(text) && text[j] != 'x'; j++ {
					seen++
				}
			}
		},
		"copies again": func(text string) {
			kept = ""
			for line := range strings.Lines(text) {
				kept += line
			}
		},
	} {
		if found(parse) == 0 {
			t.Errorf("%s: not found", name)
		}
	}
	if n := found(func(text string) { _ = strings.Count(text, "\n") }); n > 0 {
		t.Errorf("%d faults of what is linear", n)
	}
}

// found is how many inputs of two kinds are found to be bad.
func found(parse func(string)) (n int) {
	for _, in := range Units("a\n", "\n") {
		if _, _, fault := check(in, 64<<10, parse); fault != "" {
			n++
		}
	}
	return n
}
