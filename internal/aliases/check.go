package aliases

import "fmt"

// maxProblems is how many are told of one table.
const maxProblems = 100

// Problem is something that is wrong with a table.
type Problem struct {
	Text string
	// Holds says that mail is held up by it.
	Holds bool
}

// Check reads a table of text and returns how many aliases it has, and what is
// wrong with it.
func Check(path string) (n int, problems []Problem) {
	add := func(holds bool, format string, args ...any) {
		if len(problems) < maxProblems {
			problems = append(problems, Problem{fmt.Sprintf(format, args...), holds})
		}
	}
	text, _, err := readFile(path, maxTable)
	if err != nil {
		add(true, "%v", err)
		return 0, problems
	}
	lines := make(map[string]int)
	err = Read(text, func(e Entry) error {
		n++
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
	}
	return n, problems
}
