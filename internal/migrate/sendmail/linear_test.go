package sendmail

import (
	"postrider/internal/lineartest"
	"testing"
)

// R43: a file of macros, with quotes in quotes and calls in calls.
func TestCallsAreLinear(t *testing.T) {
	lineartest.Check(t, lineartest.Size, func(text string) {
		calls(text)
		fromCF(text)
	}, lineartest.Units("a(`b')\n", "`", "'", "`'", "(", ")", ",", "a", "a(", "dnl\n", "\n", "divert(-1)\n", "define(`a', `b')dnl\n", "O A=b\n", "Cwa\n", "FEATURE("),
		[]lineartest.Input{{Unit: "a(", Close: ")"}, {Unit: "`", Close: "'"}, {Head: "a(", Unit: "b,", Tail: ")"}, {Head: "a(`", Unit: "b "}},
		lineartest.Around("define(`a', `b')dnl\nFEATURE(`x', c(d))\n", "DSsmtp:hub\nO A=b\nCw a b\n"))
}
