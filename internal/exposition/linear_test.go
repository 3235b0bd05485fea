package exposition

import (
	"postrider/internal/lineartest"
	"testing"
)

// R43: the largest text that is read.
func TestReadIsLinear(t *testing.T) {
	lineartest.Check(t, MaxText, func(text string) {
		var h Histogram
		_ = Read(text, func(s Sample) { h.Add(s.Get("le"), s.Value) }) // whether it is valid does not matter here
	}, lineartest.Units("a 1\n", "a{le=\"1\"} 1\n", "#\n", "\n", " ", "a{a=\"\\\\\"", "{", "\""), lineartest.Around("a{le=\"x\\\"y\",b=\"c\"} 1.5e3\n"))
}
