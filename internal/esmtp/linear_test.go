package esmtp

import (
	"postrider/internal/lineartest"
	"testing"
)

// R43: values of parameters, which are shorter.
func TestRecordsAreLinear(t *testing.T) {
	lineartest.Check(t, 64<<10, func(text string) {
		// Whether it is valid does not matter here.
		for _, letter := range []byte("rehbUNoc") {
			var m Message
			var r Recipient
			_ = m.Take(letter, text)
			_ = r.Take(letter, text)
			_ = r.Take(letter, "utf-8;"+text)
		}
		Xtext(text)
	}, lineartest.Units("+", "+2B", "a", "\\x{F6}", "\\", ",", "NEVER,", "\xc3\xb6", "\xff", ";", "="), lineartest.Around("SUCCESS,DELAY", "rfc822;a+2Bb@x"))
}
