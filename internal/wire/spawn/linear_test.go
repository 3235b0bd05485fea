package spawn

import (
	"postrider/internal/lineartest"
	"testing"
)

// R43.
func TestPacketsAreLinear(t *testing.T) {
	results := AppendResults(nil, []Result{{Delivery: 1, Class: Success, Text: "ok"}, {Delivery: 2, Class: Failure, Text: "no\n", Destination: Destination{"mx.test", Unreachable}}})
	lineartest.Check(t, MaxPacket, func(text string) {
		// Whether it is valid does not matter here.
		_, _, _ = DecodeJobs([]byte(text))
		_, _ = DecodeResults([]byte(text))
	}, lineartest.Units("\x00", "\x01", "\xff", "a"), lineartest.Around(string(AppendJobs(nil, 10, testJobs(t))), string(results)))
}
