package header

import (
	"bytes"
	"strings"
	"testing"
)

func TestHopCounter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want int
	}{
		{"", 0}, {"Received: x\n", 1}, {"received", 1}, {"RECEIVE: x\n", 0}, {"Receive\n", 0}, {"delivered\n", 1},
		{"Delivered-To: x\nReceived: y\nreceived-spf: z\n", 3}, {"X-Received: x\n Received: y\n", 0},
		{"a\nReceived: x\n\nReceived: y\n", 1}, {"\nReceived: x\n", 0}, {"dreceived\nrdelivered\n", 0},
		{"Rec\nReceived: x\n", 1}, {"Deliver\ndelivered\n", 1}, {"receivedreceived\nreceived\n", 2},
	} {
		for split := range len(c.text) + 1 {
			var h HopCounter
			h.Add([]byte(c.text[:split]))
			h.Add([]byte(c.text[split:]))
			if h.Hops != c.want {
				t.Errorf("%q split at %d: %d hops, want %d", c.text, split, h.Hops, c.want)
			}
		}
	}
}

// FuzzHopCounter compares with the obvious way of counting.
func FuzzHopCounter(f *testing.F) {
	f.Add([]byte("Received: x\nDelivered-To: y\n\nReceived: z\n"), 7)
	f.Add([]byte("rec\nreceived"), 2)
	f.Fuzz(func(t *testing.T, text []byte, split int) {
		want := 0
		for line := range bytes.Lines(text) {
			if line[0] == '\n' {
				break
			}
			l := strings.ToLower(string(line))
			if strings.HasPrefix(l, "received") || strings.HasPrefix(l, "delivered") {
				want++
			}
		}
		if split < 0 || split > len(text) {
			split = 0
		}
		var h HopCounter
		h.Add(text[:split])
		h.Add(text[split:])
		if h.Hops != want {
			t.Fatalf("%q: %d hops, want %d", text, h.Hops, want)
		}
	})
}
