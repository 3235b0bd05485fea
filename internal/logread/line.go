package logread

import (
	"strings"
)

// Line is a line of the log in its parts.
type Line struct {
	Program string // who logged it; empty if it is no line of ours
	Event   string // what happened, in the words of the log: "starting delivery"
	Facts   []Fact // in the order of the line; a name comes at most once
	Text    string // what is not in the others: the words of a warning
}

// Fact is what a line says of the event.
type Fact struct{ Name, Value string }

// Get returns the value of a fact, empty if the line does not say it.
func (l *Line) Get(name string) string {
	for _, f := range l.Facts {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

func (l *Line) add(name, value string) {
	for _, f := range l.Facts {
		if f.Name == name {
			return // the first counts: who appended another is not whom we know
		}
	}
	l.Facts = append(l.Facts, Fact{name, value})
}

// Levels are the events that are trouble, and "note".
var levels = []string{"alert", "fatal", "warning"}

// Parse reads a line that has no stamp any more. It always returns something: a
// line of an unknown form is a "note" with its text.
func Parse(line string) Line {
	if program, rest, found := strings.Cut(line, ": "); found && IsDaemon(program) {
		return parseOther(program, rest)
	}
	return parseSend(line)
}

// IsDaemon reports whether name is that of a program of the suite that begins
// its lines with it.
func IsDaemon(name string) bool {
	rest, found := strings.CutPrefix(name, "qmail-")
	if !found || rest == "" || rest == "send" {
		return false
	}
	for i := range len(rest) {
		if c := rest[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// parseOther reads what follows the name of a program.
func parseOther(program, rest string) Line {
	l := Line{Program: program}
	if level, text, ok := cutLevel(rest); ok {
		l.Event, l.Text = level, text
		return l
	}
	// The event is the words before the first fact.
	words := strings.Split(rest, " ")
	for i, word := range words {
		name, value, isFact := strings.Cut(word, "=")
		switch {
		case isFact && isName(name):
			l.add(name, value)
		case len(l.Facts) > 0:
			return Line{Program: program, Event: "note", Text: rest} // facts and then words: no form of ours
		case i > 0:
			l.Event += " " + word
		default:
			l.Event = word
		}
	}
	if len(l.Facts) == 0 || l.Event == "" {
		return Line{Program: program, Event: "note", Text: rest}
	}
	return l
}

func cutLevel(s string) (level, text string, ok bool) {
	level, text, ok = strings.Cut(s, ": ")
	if !ok {
		return "", "", false
	}
	for _, known := range levels {
		if level == known {
			return level, text, true
		}
	}
	return "", "", false
}

func isName(s string) bool {
	for i := range len(s) {
		if s[i] < 'a' || s[i] > 'z' {
			return false
		}
	}
	return s != ""
}
