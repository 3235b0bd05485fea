package saslprep

import (
	"postrider/internal/lineartest"
	"testing"
)

// R43: names and passwords, which are shorter.
func TestPrepareIsLinear(t *testing.T) {
	lineartest.Check(t, 64<<10, func(text string) { Prepare(text) },
		lineartest.Units("a", "\u00ad", "\u0300", "o\u0308", "\u0627", "\ufdfa", "\xf6", "\u0315\u0300", "\u1100\u1161", "\u3000", "\u2126"))
}
