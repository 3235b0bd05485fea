package mtasts

import (
	"postrider/internal/fdpass"
	"postrider/internal/lineartest"
	"testing"
)

// R43.
func TestPacketsAreLinear(t *testing.T) {
	lineartest.Check(t, fdpass.MaxPacket, func(text string) {
		// Whether it is valid does not matter here.
		_, _ = parseAnswer([]byte(text))
		_, _ = parseQuestion([]byte(text))
	}, lineartest.Units("P", "a\x00", "\x00", "*.a\x00", "D", "a."), lineartest.Around("Pemx.example\x00*.b\x00", "Da.example"))
}
