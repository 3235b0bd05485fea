package dsn

import (
	"postrider/internal/lineartest"
	"testing"
)

// R43: reports of other programs, and addresses.
func TestReportsAreLinear(t *testing.T) {
	lineartest.Check(t, lineartest.Size, func(text string) {
		r := Recipient{Original: text, Final: text, Action: Failed, Reply: Parse(text, true), Attempt: at}
		r.Append(nil)
		Parse(text, false)
	}, lineartest.Units("a", "\n", "#", "5.1.", "(#5.1.1)", "5", " ", "\xff", "é", "550 5.", "a said: 5"), lineartest.Around("192.0.2.1 failed.\nRemote host said: 550 5.1.1 x (#5.1.1)\n"))
}
