package header

import (
	"io"
	"testing"

	"postrider/internal/lineartest"
)

// TestLinear shows R43: the worst fields are read and printed in linear time.
func TestLinear(t *testing.T) {
	lineartest.Check(t, lineartest.Size, func(text string) {
		readAll(t, text)
		_ = NewPrinter(io.Discard).Field("To", text, same) // whether it is valid does not matter here
		var hops HopCounter
		hops.Add([]byte(text))
		for rest := text; rest != ""; {
			var field string
			field, rest = Next(rest)
			Split(field)
		}
	}, lineartest.Units("a@b,", "a ", "(x)a ", "a@", "a", `\a`, `"`, `"" `, "(", "<", "<>", "[", "a:b;", "a:", ";", "\n", "\n ", "received\n", "a:\n", ".", "a.", `"a b"@c,`, "=?x?q?=41?= "),
		[]lineartest.Input{
			{Head: "a", Unit: "\\\n"},
			{Head: `"`, Unit: "a"},
			{Unit: "(", Close: ")", Tail: "a@b"},
			{Unit: "()", Tail: "a@b"},
			{Head: "<", Unit: "()", Tail: "a@b>"},
			{Unit: "()", Tail: "("},
			{Unit: "a ", Tail: "<a@b>"},
			{Unit: "\xff ", Tail: "<a@b>"},
			{Head: "<", Unit: "@a,", Tail: "@b:c@d>"},
			{Head: "a@[", Unit: "1", Tail: "]"},
			{Head: "a:", Unit: "b,", Tail: ";"},
			{Unit: " \n ", Tail: "a@b"},
		}, lineartest.Around(`Joe "Q. P" (c) <@h1,@h2:"a b"@[1.2.3.4]>, grp: g@h;`))
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
