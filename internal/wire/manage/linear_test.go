package manage

import (
	"postrider/internal/lineartest"
	"testing"
)

// R43.
func TestPacketsAreLinear(t *testing.T) {
	var around []string
	for _, q := range questions {
		around = append(around, string(q.Append(nil)))
	}
	for _, a := range answers() {
		around = append(around, string(a))
	}
	lineartest.Check(t, MaxPacket, func(text string) {
		// Whether it is valid does not matter here.
		_, _ = DecodeQuestion([]byte(text))
		_, _ = DecodeAnswer([]byte(text))
	}, lineartest.Units("\x00", "\x01", "\xff", "a"), lineartest.Around(around...))
}
