package localwork

import (
	"postrider/internal/lineartest"
	"testing"
)

// R43.
func TestPacketsAreLinear(t *testing.T) {
	lineartest.Check(t, MaxPacket, func(text string) {
		// Whether it is valid does not matter here.
		_, _ = DecodeJobs([]byte(text))
		_, _ = DecodeSetup([]byte(text))
		_, _ = DecodeResults([]byte(text))
	}, lineartest.Units("\x00", "\x01", "\xff", "a", "J\x00"), lineartest.Around(string(AppendJobs(nil, testJobs))))
}
