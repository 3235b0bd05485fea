package scram

import (
	"postrider/internal/lineartest"
	"testing"
)

// R43: messages, which are shorter.
func TestMessagesAreLinear(t *testing.T) {
	first, err := ParseClientFirst("n,,n=joe,r=x")
	if err != nil {
		t.Fatal(err)
	}
	answer := first.Answer("fresh", []byte("salt"), 4096)
	lineartest.Check(t, 64<<10, func(text string) {
		// Whether it is valid does not matter here.
		_, _ = ParseClientFirst(text)
		_, _ = ParseClientFirst("n,,n=joe,r=" + text)
		_, _, _ = answer.Finish(text, nil)
		_, _, _ = answer.Finish(text+",p=AAAA", nil)
	}, lineartest.Units(",", "=", "=2C", "a=b,", "a", "n=joe,", "A"), lineartest.Around("n,a=x,n=jo=3De,r=x", "c=biws,r=xfresh,p=AAAA"))
}
