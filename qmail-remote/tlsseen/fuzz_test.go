package tlsseen

import (
	"testing"

	wire "postrider/internal/wire/tlsseen"
)

// FuzzLine reads a line of the file, as a disk may have left it.
func FuzzLine(f *testing.F) {
	for _, text := range []string{"1000 mx.example\n", "1000 mx.example", "x y\n", "4294967296 a\n", "1 A\n", "\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		host, day, ok := parse(text)
		if !ok {
			return
		}
		if !wire.IsHost(host) {
			t.Fatalf("host %q", host)
		}
		if again, sameDay, ok := parse(line(host, day)); !ok || again != host || sameDay != day {
			t.Fatalf("%q again is %q, %d", text, again, sameDay)
		}
	})
}
