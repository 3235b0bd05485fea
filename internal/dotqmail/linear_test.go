package dotqmail

import (
	"postrider/internal/lineartest"
	"testing"
)

// R43.
func TestInstructionsAreLinear(t *testing.T) {
	lineartest.Check(t, lineartest.Size, func(text string) {
		for range Instructions(text, false) {
		}
	}, lineartest.Units("\n", "#\n", "&a\n", "|a\n", "./a\n", "+list\n", "a", "&", " ", "a\n \n"), lineartest.Around("./Maildir/\n|prog\n&a\n"))
}
