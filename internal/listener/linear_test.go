package listener

import (
	"postrider/internal/lineartest"
	"testing"
)

// R43: a line of the greatest length.
func TestParseIsLinear(t *testing.T) {
	lineartest.Check(t, 64<<10, func(text string) {
		_, _, _ = Parse(text, []string{"tls"}) // whether it is valid does not matter here
	}, lineartest.Units(":", "1.", "[", "]", "tls ", " ", "1", "::1 ", ":25 tls "), lineartest.Around("[fe80::1%eth0]:25 tls", "127.0.0.1:25"))
}
