package srs

import (
	"postrider/internal/lineartest"
	"testing"
)

// R43: addresses of the greatest length, again and again.
func TestRewritingIsLinear(t *testing.T) {
	r := rewriter(t, secret, "a.example", noon)
	lineartest.Check(t, 1000, func(text string) {
		_, _ = r.Reverse(text) // whether it is one of ours does not matter here
		_, _ = r.Reverse("SRS0=" + text + "@a.example")
		_, _ = r.Reverse("SRS1=" + text + "@a.example")
		r.Forward(text)
	}, lineartest.Units("=", "a=", "@", "SRS0=", "a", "+-"))
}
