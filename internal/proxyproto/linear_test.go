package proxyproto

import (
	"postrider/internal/lineartest"
	"strings"
	"testing"
)

// R43: a header ends, whatever comes.
func TestReadIsLinear(t *testing.T) {
	lineartest.Check(t, 4096, func(text string) {
		_, _ = Read(strings.NewReader(text)) // whether it is valid does not matter here
	}, lineartest.Units("P", "PROXY ", "\r", "\n", " ", "\x0d\x0a"), lineartest.Around("PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n",
		"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x07\xff\xc0\x00\x02\x01\xc0\x00\x02\x02\x00\x01\x00\x19"))
}
