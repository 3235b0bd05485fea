package handover

import (
	"postrider/internal/lineartest"
	"testing"
)

// R43: the largest text.
func TestParseIsLinear(t *testing.T) {
	lineartest.Check(t, MaxText, func(lines string) {
		_, _ = Parse([]byte(lines)) // whether it is valid does not matter here
		_, _ = Parse(sealed(lines))
		_, _ = Parse(sealed("postrider handover 1\n" + lines))
	}, lineartest.Units("\n", " ", "lock 3\n", "member 1 -1 1 0 x y\n", "area 1 x 3\n", "socket 3\n", "a", "9"), lineartest.Around(string(text(t, whole))))
}
