package submit

import (
	"postrider/internal/lineartest"
	"strings"
	"testing"
)

// R43.
func TestAnswersAreLinear(t *testing.T) {
	lineartest.Check(t, MaxFrame, func(text string) {
		// Whether it is valid does not matter here.
		_, _ = ReadAnswer(strings.NewReader(text))
		_ = ReadGreeting(strings.NewReader(text))
	}, lineartest.Units("\x00", "\x01", "\xff", "a"), lineartest.Around(string(AppendAnswer(nil, Answer{Kind: Permanent, ExitCode: 11, Text: "x"}))))
}
