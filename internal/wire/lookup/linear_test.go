package lookup

import (
	"postrider/internal/fdpass"
	"postrider/internal/lineartest"
	"testing"
)

// R43.
func TestPacketsAreLinear(t *testing.T) {
	lineartest.Check(t, fdpass.MaxPacket, func(text string) {
		// Whether it is valid does not matter here.
		_, _ = parseQuestion([]byte(text))
		_, _ = ParseAnswer([]byte(text))
	}, lineartest.Units("A", "Y", "a@", "\x00"), lineartest.Around("Ajoe@a.example", "Ytext"))
}
