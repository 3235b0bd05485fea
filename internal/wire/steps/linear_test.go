package steps

import (
	"postrider/internal/lineartest"
	"strings"
	"testing"
)

// R43: answers of a program that explains.
func TestAnswersAreLinear(t *testing.T) {
	lineartest.Check(t, lineartest.Size, func(text string) {
		_, _ = NewReader(strings.NewReader(text)).Answer() // whether it is valid does not matter here
	}, lineartest.Units("\n", "\"", "\\", "a", "\"\" ", "step \"a\" \"b\"\n"), []lineartest.Input{{Head: "\"", Unit: "a"}, {Head: "\"", Unit: "\\n"}},
		lineartest.Around(string(sample().Append(nil))))
}
