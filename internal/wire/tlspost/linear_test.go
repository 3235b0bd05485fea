package tlspost

import (
	"postrider/internal/fdpass"
	"postrider/internal/lineartest"
	"postrider/internal/wire/codec"
	"testing"
)

// R43.
func TestPacketsAreLinear(t *testing.T) {
	lineartest.Check(t, fdpass.MaxPacket, func(text string) {
		// Whether it is valid does not matter here.
		Reply([]byte(text), func(string, []byte) error { return nil })
		_ = parseAnswer([]byte(text))
	}, lineartest.Units("\x00", "\xff", "K", "Z", "D", "%"), lineartest.Around(string(append(codec.AppendString(nil, place), "report"...))))
}
