package aliases

import (
	"postrider/internal/lineartest"
	"testing"
)

// R43: tables of aliases, and lists of all kinds.
func TestTablesAreReadInLinearTime(t *testing.T) {
	lineartest.Check(t, lineartest.Size, func(text string) {
		_ = Read(text, func(e Entry) error {
			_, _ = Parse(e.List) // whether it is valid does not matter here
			return nil
		})
		_, _ = ParseLines(text)
	}, lineartest.Units("a: b\n", "a: b,\n c\n", "\n", "#\n", " \n", "a,", "a ", "\"", "\\", "(", ":", "a: \"|x\"\n", ":include:/a,"),
		[]lineartest.Input{{Head: "a: ", Unit: "b, "}, {Head: "a: ", Unit: "b\n ,"}, {Head: "a: \"", Unit: "\\\""}, {Head: "a: ", Unit: "(", Close: ")"}},
		lineartest.Around("a: \"|b c\", /d, :include:/e, f@g\n  h # i\n"))
}
