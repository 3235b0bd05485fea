package entries

import (
	"postrider/internal/fdpass"
	"postrider/internal/lineartest"
	"testing"
)

// R43.
func TestPacketsAreLinear(t *testing.T) {
	var inputs []lineartest.Input
	for _, m := range all {
		inputs = append(inputs, lineartest.Input{Unit: string(Append(nil, m))})
	}
	lineartest.Check(t, fdpass.MaxPacket, func(text string) {
		_, _ = decodeAll([]byte(text)) // whether it is valid does not matter here
	}, inputs, lineartest.Units("\x00", "\x01", "\xff", "a"))
}
