package destinations

import (
	"postrider/internal/lineartest"
	"testing"
)

// R43: a file of the largest size that is read.
func TestReadIsLinear(t *testing.T) {
	lineartest.Check(t, lineartest.Size, func(text string) {
		_, _ = read(t, text) // whether it is valid does not matter here
	}, lineartest.Units("a rate=1/s\n", "a\n", ".", "a rate=1/s "),
		lineartest.Around("mx:.google.com rate=600/m recipients=50 messages=20\n"))
}
