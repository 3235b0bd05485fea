package netstring

import (
	"postrider/internal/lineartest"
	"testing"
)

// R43: many strings, nested ones, and lengths without an end.
func TestReadIsLinear(t *testing.T) {
	lineartest.Check(t, lineartest.Size, func(text string) {
		_, _ = readNested(text) // whether it is valid does not matter here
		_, _ = readNested(string(Append(nil, text)))
	}, lineartest.Units("0:,", "1:a,", "0", "9", ":", ",", "a"), lineartest.Around("10:1:a,3:bcd,,"))
}
