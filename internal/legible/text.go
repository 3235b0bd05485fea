package legible

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line returns s as a part of a line: what must not be printed becomes an
// underscore, as in the log.
func Line(s string) string {
	return strings.Map(func(c rune) rune {
		if !prints(c) {
			return '_'
		}
		return c
	}, s)
}

// Text is Line for text of several lines, which keeps their ends, and tabs.
func Text(s string) string {
	return strings.Map(func(c rune) rune {
		if c != '\n' && c != '\t' && !prints(c) {
			return '_'
		}
		return c
	}, s)
}

// ASCII returns s in printable ASCII, a column a character: a tab becomes a blank
// and everything else that is none an underscore.
func ASCII(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\t':
			return ' '
		case c < ' ' || c > '~':
			return '_'
		}
		return c
	}, s)
}

// prints reports whether a character does nothing but take its place on a line.
func prints(c rune) bool {
	if c < utf8.RuneSelf {
		return ' ' <= c && c <= '~'
	}
	return c != utf8.RuneError && unicode.IsGraphic(c) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, c)
}
