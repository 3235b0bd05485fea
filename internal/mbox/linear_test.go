package mbox

import (
	"io"
	"postrider/internal/lineartest"
	"strings"
	"testing"
)

// R43.
func TestQuotingIsLinear(t *testing.T) {
	lineartest.Check(t, lineartest.Size, func(text string) {
		q := newQuoter(io.Discard)
		if _, err := io.Copy(q, struct{ io.Reader }{strings.NewReader(text)}); err != nil {
			t.Fatal(err)
		}
		if err := q.finish(); err != nil {
			t.Fatal(err)
		}
	}, lineartest.Units("From \n", ">", ">From \n", "From", "\n", "a", ">\n", "F\n"), lineartest.Around(">>From me\n\nFrom \n"))
}
