package rspawn

import (
	"postrider/internal/lineartest"
	"testing"
)

// R43: all that a program says.
func TestReportsAreLinear(t *testing.T) {
	lineartest.Check(t, 64<<10, func(output string) { combine([]byte(output)) },
		lineartest.Units("\x00", "r\x00", "Kx\x00", "Z", "\n", "a", "hno\x00"), lineartest.Around("hno\x00Dgive\x00"))
}
