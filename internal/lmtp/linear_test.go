package lmtp

import (
	"postrider/internal/lineartest"
	"postrider/internal/smtpwire"
	"testing"
)

// R43: replies of the greatest length.
func TestRepliesAreLinear(t *testing.T) {
	lineartest.Check(t, smtpwire.MaxReplyText, func(text string) {
		said(text)
		codeOf(text, '4')
		codeOf(text, '5')
	}, lineartest.Units("\n", "a", "5", "5.", "5.1.", "550 ", "550-5.1.1 a\n", " ", "\xff"), lineartest.Around("452-4.2.2 x\n452 y\n"))
}
