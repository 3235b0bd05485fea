package account

import (
	"postrider/internal/fdpass"
	"postrider/internal/lineartest"
	"testing"
)

// R43.
func TestAnswersAreLinear(t *testing.T) {
	lineartest.Check(t, fdpass.MaxPacket, func(text string) {
		_, _ = parseAnswer("joe", []byte(text)) // whether it is valid does not matter here
	}, lineartest.Units(":", "a", "\n", "Y", "N"), lineartest.Around("Yjoe::1:2::/home/joe:"))
}
