package smtpd

import (
	"math"
	"strings"
	"testing"
)

func TestMailParameters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		size int64
		code int // 0: accepted
	}{
		{"", 0, 0},
		{"SIZE=0", 0, 0},
		{"SIZE=1000", 1000, 0},
		{"size=1000 body=8bitmime", 1000, 0},
		{"BODY=7BIT   SIZE=5", 5, 0},
		{"SIZE=2147483648", 1 << 31, 0},
		{"SIZE=4294967296", 1 << 32, 0},
		{"SIZE=9223372036854775807", math.MaxInt64, 0},
		{"SIZE=9223372036854775808", math.MaxInt64, 0},
		{"SIZE=18446744073709551615", math.MaxInt64, 0},
		{"SIZE=18446744073709551616", math.MaxInt64, 0},
		{"SIZE=18446744073709551617", math.MaxInt64, 0},
		{"SIZE=" + strings.Repeat("9", 20), math.MaxInt64, 0},
		{"SIZE=" + strings.Repeat("9", 21), 0, 501},
		{"SIZE=" + strings.Repeat("0", 200), 0, 501},
		{"SIZE", 0, 501},
		{"SIZE=", 0, 501},
		{"SIZE=-1", 0, 501},
		{"SIZE=+1", 0, 501},
		{"SIZE=1k", 0, 501},
		{"SIZE=0x10", 0, 501},
		{"SIZE=1 SIZE=2", 0, 501},
		{"SIZE=1=2", 0, 501},
		{"BODY=BINARYMIME", 0, 0},
		{"BODY=BINARY", 0, 555},
		{"BODY", 0, 555},
		{"BODY=7BIT BODY=7BIT", 0, 501},
		{"RET=FULL", 0, 555},
		{"AUTH=<>", 0, 0}, // taken only where there is AUTH: dialogues
		{"AUTH=joe+40example.net SIZE=5", 5, 0},
		{"AUTH", 0, 501},
		{"AUTH=a+4", 0, 501},
		{"AUTH=a+0D", 0, 501},
		{"SMTPUTF8", 0, 555},
		{"ENVID=x", 0, 555},
		{"=5", 0, 501},
		{"-X=5", 0, 501},
		{"X_Y=5", 0, 501},
		{"<a@b>", 0, 501},
	} {
		t.Run(c.text, func(t *testing.T) {
			p, refused := parseMailParameters(c.text, false)
			code := 0
			if refused != nil {
				code = refused.code
			}
			if code != c.code || code == 0 && p.size != c.size {
				t.Errorf("size %d, code %d; want %d, %d", p.size, code, c.size, c.code)
			}
		})
	}
}

// R41: DATABYTES wraps for nothing.
func TestLeadingNumber(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"": 0, "x": 0, "5x": 5, "007": 7, "-5": 0, " 5": 0,
		"2147483647": 1<<31 - 1, "2147483648": 1 << 31, "4294967295": 1<<32 - 1, "4294967297": 1<<32 + 1,
		"9223372036854775806": math.MaxInt64 - 1, "9223372036854775807": math.MaxInt64, "9223372036854775808": math.MaxInt64,
		"18446744073709551615": math.MaxInt64, "18446744073709551616": math.MaxInt64,
		strings.Repeat("1", 200): math.MaxInt64,
	} {
		if got := leadingNumber(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}
