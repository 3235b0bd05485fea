package sign

import (
	"postrider/internal/fdpass"
	"postrider/internal/lineartest"
	"testing"
)

// R43.
func TestPacketsAreLinear(t *testing.T) {
	lineartest.Check(t, fdpass.MaxPacket, func(text string) {
		// Whether it is valid does not matter here.
		_, _ = parseChain([]byte(text))
		_, _ = parseRequest([]byte(text))
	}, lineartest.Units("\x00", "\x01", "\xff", "\x00\x00\x00\x01a"), lineartest.Around(string(appendChain(nil, Chain{"mx.example", [][]byte{{1, 2, 3}, {4}}})[1:])))
}
