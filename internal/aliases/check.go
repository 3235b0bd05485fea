package aliases

import (
	"fmt"
	"strings"
)

// maxProblems is how many are told of one table.
const maxProblems = 100

// Problem is something that is wrong with a table.
type Problem struct {
	Text string
	// Holds says that mail is held up by it.
	Holds bool
}

// Size is what there is in a table.
type Size struct {
	Aliases int
	// Longest is the longest list in bytes, and Bytes all names and lists.
	Longest, Bytes int
}

// Check reads a table of text and returns what is in it, and what is wrong with
// it. Without a whole table there is nothing in it.
func Check(path string) (s Size, problems []Problem) {
	add := func(holds bool, format string, args ...any) {
		if len(problems) < maxProblems {
			problems = append(problems, Problem{fmt.Sprintf(format, args...), holds})
		}
	}
	text, _, err := readFile(path, maxTable)
	if err != nil {
		add(true, "%v", err)
		return Size{}, problems
	}
	lines := make(map[string]int)
	err = Read(text, func(e Entry) error {
		list := strings.TrimSpace(e.List)
		s = Size{s.Aliases + 1, max(s.Longest, len(list)), s.Bytes + len(e.Name) + len(list)}
		if first, twice := lines[e.Name]; twice {
			add(false, "line %d: %s is in line %d already, which counts", e.Line, e.Name, first)
			return nil
		}
		lines[e.Name] = e.Line
		if _, err := Parse(e.List); err != nil {
			add(true, "line %d: %s: %v", e.Line, e.Name, err)
		}
		return nil
	})
	if err != nil {
		add(true, "%v: mail for all names waits", err)
		return Size{}, problems
	}
	return s, problems
}
