package sevenbit

import (
	"io"
	"postrider/internal/lineartest"
	"strings"
	"testing"
)

// R43: parts in parts, borders that are none, and lines without an end.
func TestConversionIsLinear(t *testing.T) {
	const parts = "Content-Type: multipart/mixed; boundary=a\n\n--a\n\n\xfc\n"
	var inputs []lineartest.Input
	for _, head := range []string{"\xfc\n\n", parts, "Subject: x\n\n\xfc", "Content-Type: message/rfc822\n\n\xfc", "Content-Type: "} {
		for _, unit := range []string{"\n", "--a\n", "--", "\n-", "--a", "\xfc", "\xfc\n", "a", " ", "Content-Type: a\n", "(", "\"", ";", "a=b;", "\n ", "--a\n\n\xfc\n", "--a\n" + parts, "\r"} {
			inputs = append(inputs, lineartest.Input{Head: head, Unit: unit})
		}
	}
	lineartest.Check(t, lineartest.Size, func(text string) {
		r, err := New(strings.NewReader(text), 0)
		if err != nil || r == nil {
			return // it is refused, or needs no conversion
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Fatal(err)
		}
	}, inputs, lineartest.Around(parts+"--a--\n"))
}
