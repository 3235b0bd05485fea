package precedence

import (
	"bytes"
	"strings"
	"testing"
)

// Lists and bulk are found wherever the pieces of the header end.
func TestLook(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"Subject: x\nList-Id: <l>\n\nx\n": true, "PRECEDENCE: bulk\n\n": true, "Precedence: \t list \nX: y\n\n": true,
		"Mailing-List: contact x\n\n": true, "Precedence: first\n\nList-Id: x\n": false, "\nList-Id: x\n": false,
		" List-Id: x\nlist: y\n\n": false, "List-Id": false, strings.Repeat("x", 100) + "\nList-Id: x\n\n": true, "": false,
		"Listen: x\n": false,
	} {
		for size := 1; size < 20; size++ {
			var b Look
			for p := []byte(text); len(p) > 0; p = p[min(size, len(p)):] {
				_, _ = b.Write(bytes.Clone(p[:min(size, len(p))])) // no errors
			}
			if b.Bulk() != want {
				t.Errorf("%q in pieces of %d: %v", text, size, b.Bulk())
			}
		}
	}
}
