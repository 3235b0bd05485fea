package idn

import (
	"testing"

	"postrider/internal/lineartest"
)

// R43: no name is longer than a line of a control file, and none that is not in
// ASCII longer than an address.
func TestKeyIsLinear(t *testing.T) {
	for _, limit := range []int{64 << 10, maxDomain} {
		lineartest.Check(t, limit, func(text string) {
			Key(text)
			AddressKey("a@" + text)
			_, _ = ASCII(text) // whether it is valid does not matter here
		}, lineartest.Units("a", "a.", ".", "A", "é", "é.", ".é", "\xff", "xn--", "xn--a.", "\u212a", "\u0300", "例え.", "@", "\u00ad"))
	}
}
