package maildirsize

import (
	"postrider/internal/lineartest"
	"testing"
)

// R43: the largest file that is read.
func TestParseIsLinear(t *testing.T) {
	lineartest.Check(t, MaxFile, func(text string) {
		_, _, _ = Parse(text) // whether it is valid does not matter here
	}, lineartest.Units("1 1\n", "\n", " ", "9", "-", "1S,"), lineartest.Around("10000S,10C\n1 1\n-1 -1\n"))
}
