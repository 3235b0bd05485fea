package sendmail

import (
	"strings"
)

// call is a macro of m4 with its arguments, without their quotes.
type call struct {
	name string
	args []string
	line int
}

const (
	maxCalls = 10000
	maxArgs  = 64
)

// calls finds the calls of macros in a text of m4: a name, and behind it at once a
// parenthesis. "dnl" takes the rest of a line away. What macros expand to is not
// looked into.
func calls(text string) []call {
	var all []call
	line := 1
	for i := 0; i < len(text) && len(all) < maxCalls; {
		c := text[i]
		switch {
		case c == '\n':
			line++
			i++
		case isName(c):
			end := i
			for end < len(text) && isName(text[end]) {
				end++
			}
			name := text[i:end]
			if name == "dnl" || name == "divert" && strings.HasPrefix(text[end:], "(-1)") {
				i = skip(text, end, name)
				line += strings.Count(text[end:i], "\n")
				continue
			}
			if end < len(text) && text[end] == '(' {
				args, after := arguments(text, end+1)
				all = append(all, call{name, args, line})
				line += strings.Count(text[end:after], "\n")
				end = after
			}
			i = end
		case c == '#':
			i = skip(text, i, "dnl")
			line++
		case c == '`':
			after := quoted(text, i)
			line += strings.Count(text[i:after], "\n")
			i = after
		default:
			i++
		}
	}
	return all
}

func isName(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
}

// skip returns where to go on behind "dnl" (the next line), or behind divert(-1)
// (the next divert).
func skip(text string, from int, name string) int {
	what := "\n"
	if name != "dnl" {
		what = "divert("
		from += len("(-1)")
	}
	end := strings.Index(text[from:], what)
	switch {
	case end < 0:
		return len(text)
	case name == "dnl":
		return from + end + 1
	}
	return from + end
}

// quoted returns the end of a quoted text that begins at from.
func quoted(text string, from int) int {
	depth := 0
	for i := from; i < len(text); i++ {
		switch text[i] {
		case '`':
			depth++
		case '\'':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(text)
}

// arguments reads up to the parenthesis that closes.
func arguments(text string, from int) (args []string, after int) {
	depth, begin := 1, from
	add := func(end int) {
		if len(args) < maxArgs {
			args = append(args, unquote(text[begin:end]))
		}
	}
	for i := from; i < len(text); {
		switch text[i] {
		case '`':
			i = quoted(text, i)
			continue
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				add(i)
				return args, i + 1
			}
		case ',':
			if depth == 1 {
				add(i)
				begin = i + 1
			}
		}
		i++
	}
	add(len(text))
	return args, len(text)
}

// unquote takes blanks in front and one level of quotes away.
func unquote(s string) string {
	s = strings.TrimSpace(s)
	var b strings.Builder
	depth := 0
	for i := range len(s) {
		switch {
		case s[i] == '`':
			if depth++; depth > 1 {
				b.WriteByte('`')
			}
		case s[i] == '\'' && depth > 0:
			if depth--; depth > 0 {
				b.WriteByte('\'')
			}
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}
