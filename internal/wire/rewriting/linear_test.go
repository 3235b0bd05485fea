package rewriting

import (
	"postrider/internal/fdpass"
	"postrider/internal/lineartest"
	"testing"
)

// R43.
func TestSettingsAreLinear(t *testing.T) {
	lineartest.Check(t, fdpass.MaxPacket, func(text string) {
		_, _ = Parse([]byte(text)) // whether it is valid does not matter here
	}, lineartest.Units("\n", "a", " ", "1 ", secret+"\n"), lineartest.Around("984 985\nmx.example\n"+secret+"\n"))
}
