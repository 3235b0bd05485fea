package tlsrpt

import (
	"postrider/internal/lineartest"
	"testing"
)

// R43: what is read of a day, line by line.
func TestLinesAreLinear(t *testing.T) {
	lineartest.Check(t, 64<<10, func(text string) {
		_, _ = parseLine([]byte(text)) // whether it is valid does not matter here
	}, lineartest.Units("[", "{", "{},", "\"", "\\u0041", " ", "0", "[{\"policy\":", ","),
		[]lineartest.Input{{Unit: "[", Close: "]"}, {Head: "[{\"policy\":{\"policy-string\":[", Unit: "\"a\","}},
		lineartest.Around(`[{"policy":{"policy-type":"sts","policy-domain":"a.example"},"summary":{"total-successful-session-count":1,"total-failure-session-count":0}}]`))
}
