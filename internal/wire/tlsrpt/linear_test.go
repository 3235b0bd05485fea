package tlsrpt

import (
	"postrider/internal/fdpass"
	"postrider/internal/lineartest"
	"testing"
)

// R43.
func TestFindingsAreLinear(t *testing.T) {
	var around []string
	for _, finding := range findings {
		around = append(around, string(appendFinding(nil, finding)))
	}
	lineartest.Check(t, fdpass.MaxPacket, func(text string) {
		_, _ = decodeFinding([]byte(text)) // whether it is valid does not matter here
	}, lineartest.Units("\x00", "\x01", "\xff", "a", "\x00\x01a"), lineartest.Around(around...))
}
