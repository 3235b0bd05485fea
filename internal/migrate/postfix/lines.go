package postfix

import (
	"strings"
)

// logical is a line with those that continue it.
type logical struct {
	text string
	line int // of its beginning
}

// logicalLines takes a text apart: a line that begins with blanks continues the
// one before; empty lines and comments are nothing, not an end either.
func logicalLines(text string) []logical {
	var all []logical
	var pieces []string
	flush := func() {
		if len(pieces) > 0 {
			all[len(all)-1].text = strings.Join(pieces, " ")
			pieces = nil
		}
	}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, " \t\r\n\v\f")
		trimmed := strings.TrimLeft(line, " \t\r\v\f")
		switch {
		case trimmed == "", trimmed[0] == '#':
		case len(trimmed) < len(line):
			if len(pieces) > 0 {
				pieces = append(pieces, trimmed)
			}
		default:
			flush()
			all = append(all, logical{"", number})
			pieces = append(pieces, trimmed)
		}
	}
	flush()
	return all
}

// words splits a list at commas and blanks; what is in braces stays together.
func words(list string) []string {
	var all []string
	depth, begin := 0, -1
	for i := 0; i <= len(list); i++ {
		end := i == len(list)
		if !end {
			switch list[i] {
			case '{':
				depth++
			case '}':
				depth = max(depth-1, 0)
			}
		}
		separates := end || depth == 0 && strings.IndexByte(", \t\r\n", list[i]) >= 0
		switch {
		case separates && begin >= 0:
			all = append(all, list[begin:i])
			begin = -1
		case !separates && begin < 0:
			begin = i
		}
	}
	return all
}

// inBraces returns what is between braces that are all around s.
func inBraces(s string) (inner string, found bool) {
	s = strings.TrimSpace(s)
	if len(s) < 2 || s[0] != '{' || s[len(s)-1] != '}' {
		return "", false
	}
	return strings.TrimSpace(s[1 : len(s)-1]), true
}
