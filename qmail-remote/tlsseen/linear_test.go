package tlsseen

import (
	"postrider/internal/lineartest"
	"strings"
	"testing"
)

// R43: lines of the file of hosts.
func TestLinesAreLinear(t *testing.T) {
	lineartest.Check(t, lineartest.Size, func(text string) {
		for line := range strings.Lines(text) {
			_, _, _ = parse(line) // whether it is valid does not matter here
		}
	}, lineartest.Units("1000 mx.example\n", "\n", " ", "1", "a.", "1 "), lineartest.Around("1000 mx.example\n"))
}
