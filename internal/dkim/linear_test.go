package dkim

import (
	"bytes"
	"postrider/internal/lineartest"
	"strings"
	"testing"
)

// R43: headers that are large, and bodies.
func TestMessagesAreReadInLinearTime(t *testing.T) {
	read := func(text string) {
		b := &bodyHash{hash: recorder{new(bytes.Buffer)}, out: make([]byte, 0, outSize)}
		h, err := read(strings.NewReader(text), b)
		if err != nil {
			return // it is too large
		}
		b.sum()
		var out []byte
		for _, f := range h.fields {
			out = appendRelaxed(out[:0], f.text)
		}
		h.Author()
		h.Only("from")
	}
	around := []string{"From: \"A, b\" <joe@a.example>\nTo: x:\n y;\n\nbody \t \n\n\n"}
	units := []string{"a:\n", "a: \n ", "\n", " ", "\r", "\t", "a", ":", " \n", "From: a@b,\n", "From: (", "a:" + strings.Repeat(" ", 100) + "\n"}
	lineartest.Check(t, MaxHeader-1, read, lineartest.Units(units...), lineartest.Around(around...))
	var bodies []lineartest.Input
	for _, unit := range units {
		bodies = append(bodies, lineartest.Input{Head: "From: a@b\n\n", Unit: unit})
	}
	lineartest.Check(t, lineartest.Size, read, bodies)
}
