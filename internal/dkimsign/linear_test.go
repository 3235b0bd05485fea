package dkimsign

import (
	"postrider/internal/lineartest"
	"strings"
	"testing"
)

// R43: many lines, and long ones.
func TestParseIsLinear(t *testing.T) {
	lineartest.Check(t, lineartest.Size, func(text string) {
		_, _ = Parse(strings.Split(text, "\n")) // whether it is valid does not matter here
	}, lineartest.Units("a.example:s:k\n", "a", ":", ".", " ", "a.", "\xc3\xa9"),
		lineartest.Around("a.example:s:k\n"))
}
