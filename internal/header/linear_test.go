package header

import (
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// cpu returns the CPU time of this thread: other tests of a busy machine must
// not count.
func cpu(t *testing.T) time.Duration {
	var use unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &use); err != nil {
		t.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// TestLinear shows R43: 4 MiB of the worst inputs are read and printed in
// linear time. Quadratic time would be hours of CPU, which no busy machine is.
func TestLinear(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const size = 4 << 20
	fill := func(s string) string { return strings.Repeat(s, size/len(s)) }
	for _, in := range []struct{ name, text string }{
		{"addresses", fill("a@b,")},
		{"missing commas", fill("a ")},
		{"missing commas, comments", fill("(x)a ")},
		{"ats", fill("a@")},
		{"one atom", fill("a")},
		{"one atom of backslashes", fill(`\a`)},
		{"escaped line ends", "a" + fill("\\\n")},
		{"open strings", fill(`"`)},
		{"empty strings", fill(`"" `)},
		{"open string", `"` + fill("a")},
		{"deep comment", fill("(")},
		{"closed deep comment", strings.Repeat("(", size/2) + strings.Repeat(")", size/2) + "a@b"},
		{"comments", fill("()") + "a@b"},
		{"comments in brackets", "<" + fill("()") + "a@b>"},
		{"comments, then open", fill("()") + "("},
		{"phrase", fill("a ") + "<a@b>"},
		{"phrase of bytes over 127", fill("\xff ") + "<a@b>"},
		{"open angles", fill("<")},
		{"null addresses", fill("<>")},
		{"route", "<" + fill("@a,") + "@b:c@d>"},
		{"open literals", fill("[")},
		{"literal", "a@[" + fill("1") + "]"},
		{"groups", fill("a:b;")},
		{"group of many", "a:" + fill("b,") + ";"},
		{"colons", fill("a:")},
		{"semicolons", fill(";")},
		{"white space", fill(" \n ") + "a@b"},
	} {
		text := in.text
		start := cpu(t)
		items := readAll(t, text)
		read := cpu(t) - start
		err := NewPrinter(io.Discard).Field("To", text, same)
		printed := cpu(t) - start - read
		if max(read, printed) > 30*time.Second {
			t.Errorf("%s: took %v to read, %v to print", in.name, read, printed)
		}
		t.Logf("%-26s %8d items, %4d + %4d ms, %v", in.name, items, read.Milliseconds(), printed.Milliseconds(), err)
	}
}

// readAll reads a list as a program does: once for the items, and each address
// once more. It returns the number of items.
func readAll(t *testing.T, text string) (items int) {
	p := NewParser(text)
	for {
		item, ok := p.Next()
		if !ok {
			return items
		}
		items++
		if item.Kind == Mailbox {
			if _, err := AddrAt(text, item.At); err != nil {
				t.Fatalf("%.40q: %v", text, err)
			}
		}
	}
}
