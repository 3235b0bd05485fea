package mtasts

import (
	"postrider/internal/lineartest"
	"testing"
)

// R43: the largest policy, and the largest record.
func TestParseIsLinear(t *testing.T) {
	lineartest.Check(t, MaxPolicy, func(text string) {
		_, _ = Parse(text) // whether it is valid does not matter here
		_, _ = ParseRecord([]string{text})
		_, _ = ParseRecord([]string{"v=STSv1;" + text})
	}, lineartest.Units("mx: a\n", "\n", ":", ";", "id=1;", "a", ".", "*.", " ", "mx: *.a.example\r\n"),
		lineartest.Around("version: STSv1\nmode: enforce\nmx: *.a.example\nmax_age: 86400\n", "v=STSv1; id=20160831085700Z;"))
}
