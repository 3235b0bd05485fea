package resolver

import (
	"github.com/miekg/dns"
	"postrider/internal/lineartest"
	"testing"
)

// R43: the largest answer, of records whose names are one name of the greatest
// length again and again, and of pointers.
func TestParseIsLinear(t *testing.T) {
	head := func(records string) string {
		return "\x00\x07\x81\x80\x00\x01" + records + "\x00\x00\x00\x00\x01d\x00\x00\x0f\x00\x01"
	}
	label := "\x3f012345678901234567890123456789012345678901234567890123456789012"
	long := label + label + label + "\x3b01234567890123456789012345678901234567890123456789012345678\x00"
	var inputs []lineartest.Input
	for _, records := range []string{"\x00\x01", "\x02\x00", "\xff\xff"} {
		for _, unit := range []string{
			"\xc0\x13\x00\x0f\x00\x01\x00\x00\x00\x3c\x00\x04\x00\x0a\xc0\x13", "\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x02\xc0\x13",
			"\xc0\x13\x00\x10\x00\x01\x00\x00\x00\x3c\x00\x02\x01x", "\xc0\x0c", "\x00", "\x01a", "\xff", "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x7f\x00\x00\x01",
		} {
			inputs = append(inputs, lineartest.Input{Head: head(records) + long + "\x00\x0f\x00\x01\x00\x00\x00\x3c\x00\x03\x00\x0a\x00", Unit: unit})
		}
	}
	lineartest.Check(t, 64<<10-1, func(text string) {
		for _, qtype := range []uint16{dns.TypeMX, dns.TypeA, dns.TypeTXT, dns.TypeTLSA} {
			_, _ = parse([]byte(text), 7, question{name: "d.", qtype: qtype}) // what it says does not matter here
		}
	}, inputs)
}
