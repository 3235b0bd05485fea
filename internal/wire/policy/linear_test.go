package policy

import (
	"postrider/internal/fdpass"
	"postrider/internal/lineartest"
	"testing"
	"time"
)

// R43.
func TestPacketsAreLinear(t *testing.T) {
	var around []string
	for _, q := range []question{
		{kind: kindLists, client: ip4, zones: []string{"a.example", "b.example"}},
		{kind: kindGrey, client: ip4, sender: "a@b", recipient: "c@d", delay: 300 * time.Second},
	} {
		b, err := q.append(nil)
		if err != nil {
			t.Fatal(err)
		}
		around = append(around, string(b))
	}
	lineartest.Check(t, fdpass.MaxPacket, func(text string) {
		// Whether it is valid does not matter here.
		b := []byte(text)
		_, _ = parseQuestion(b)
		_, _ = parseListings(b, 1)
		_, _, _ = parseName(b)
		_, _ = parseResult(b)
		_, _ = parseWait(b)
	}, lineartest.Units("\x00", "\x01", "\xff", "a"), lineartest.Around(around...))
}
