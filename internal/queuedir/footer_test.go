package queuedir

import (
	"fmt"
	"strings"
	"testing"
)

// TestFooterForms: a footer has one spelling, and sizes that a file can have.
func TestFooterForms(t *testing.T) {
	t.Parallel()
	const (
		none   = "0000000000000000"
		inline = "0000000000010000" // MaxInlineBody
		over   = "0000000000010001"
		most   = "7fffffffffffffff"
		minus  = "8000000000000000"
	)
	footer := func(kind, body, envelope, bodyCRC, crc string) string {
		return "postrider entry 1 " + kind + " body=" + body + " envelope=" + envelope + " bodycrc=" + bodyCRC + " crc=" + crc + "\n"
	}
	for _, c := range []struct {
		name, text string
		good       bool
	}{
		{"inline", footer("inline ", inline, none, "0123abcf", "deadbeef"), true},
		{"outside", footer("outside", most, most, "00000000", "ffffffff"), true},
		{"nothing", footer("inline ", none, none, "00000000", "00000000"), true},
		{"inline and too large", footer("inline ", over, none, "00000000", "00000000"), false},
		{"outside and as large", footer("outside", over, none, "00000000", "00000000"), true},
		{"fewer bytes than none", footer("outside", minus, none, "00000000", "00000000"), false},
		{"less of an envelope than none", footer("outside", none, minus, "00000000", "00000000"), false},
		{"capital digit", footer("outside", none, none, "0000000A", "00000000"), false},
		{"below the digits", footer("outside", none, none, "0000000/", "00000000"), false},
		{"above the digits", footer("outside", none, none, "0000000:", "00000000"), false},
		{"below the letters", footer("outside", none, none, "0000000`", "00000000"), false},
		{"above the letters", footer("outside", none, none, "0000000g", "00000000"), false},
		{"bad digit in the size", footer("outside", "000000000000000x", none, "00000000", "00000000"), false},
		{"another kind", footer("inside ", none, none, "00000000", "00000000"), false},
		{"another word", strings.Replace(footer("outside", none, none, "00000000", "00000000"), "bodycrc", "bodysum", 1), false},
		{"another end", strings.Replace(footer("outside", none, none, "00000000", "00000000"), "\n", "\r", 1), false},
		{"longer", footer("outside", none, none, "00000000", "00000000") + "\n", false},
	} {
		f, err := ParseFooter([]byte(c.text))
		if (err == nil) != c.good {
			t.Errorf("%s: %v", c.name, err)
		}
		kind := "outside"
		if f.Inline {
			kind = "inline "
		}
		again := footer(kind, fmt.Sprintf("%016x", f.BodySize), fmt.Sprintf("%016x", f.EnvelopeSize), fmt.Sprintf("%08x", f.BodyCRC), fmt.Sprintf("%08x", f.CRC))
		if c.good && again != c.text {
			t.Errorf("%s: read as %+v", c.name, f)
		}
	}
}

func TestDropFooterForms(t *testing.T) {
	t.Parallel()
	const (
		nonce = "0123456789abcdef0123456789abcdef"
		none  = "0000000000000000"
		most  = "0000000040000000" // MaxDrop
		over  = "0000000040000001"
		minus = "8000000000000000"
	)
	footer := func(nonce, body, envelope, crc string) string {
		return "postrider drop 1 nonce=" + nonce + " body=" + body + " envelope=" + envelope + " crc=" + crc + "\n"
	}
	for _, c := range []struct {
		name, text string
		good       bool
	}{
		{"nothing", footer(nonce, none, none, "00000000"), true},
		{"most", footer(nonce, most, most, "0a0f9000"), true},
		{"too large a body", footer(nonce, over, none, "00000000"), false},
		{"too large an envelope", footer(nonce, none, over, "00000000"), false},
		{"fewer bytes than none", footer(nonce, minus, none, "00000000"), false},
		{"less of an envelope than none", footer(nonce, none, minus, "00000000"), false},
		{"bad nonce", footer("x"+nonce[1:], none, none, "00000000"), false},
		{"bad digit", footer(nonce, none, none, "0000000x"), false},
		{"another word", strings.Replace(footer(nonce, none, none, "00000000"), "body", "data", 1), false},
		{"another end", strings.Replace(footer(nonce, none, none, "00000000"), "\n", "\r", 1), false},
		{"another version", strings.Replace(footer(nonce, none, none, "00000000"), "drop 1", "drop 0", 1), false},
	} {
		f, err := ParseDropFooter([]byte(c.text))
		if (err == nil) != c.good {
			t.Errorf("%s: %v", c.name, err)
		}
		if again := footer(f.Nonce.String(), fmt.Sprintf("%016x", f.BodySize), fmt.Sprintf("%016x", f.EnvelopeSize), fmt.Sprintf("%08x", f.CRC)); c.good && again != c.text {
			t.Errorf("%s: read as %+v", c.name, f)
		}
	}
	full := DropFooter{BodySize: MaxDrop - int64(DropFooterSize)}
	if !full.Fits(MaxDrop) {
		t.Error("the largest file does not fit")
	}
	full.BodySize++
	if full.Fits(MaxDrop + 1) {
		t.Error("a larger file fits")
	}
	for c, want := range map[byte]bool{'0': true, '9': true, 'a': true, 'f': true, '/': false, ':': false, '`': false, 'g': false, 'A': false} {
		if name := strings.Repeat(string(c), 32); IsDropName(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
