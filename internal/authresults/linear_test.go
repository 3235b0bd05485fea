package authresults

import (
	"postrider/internal/lineartest"
	"testing"
)

// R43: fields that are ours or not, and what is held until that is known.
func TestRemoverIsLinear(t *testing.T) {
	lineartest.Check(t, lineartest.Size, func(text string) {
		r := NewRemover(mine)
		out := r.append(make([]byte, 0, len(text)+MaxHeld), []byte(text))
		r.AppendEnd(out)
	}, lineartest.Units("Authentication-Results: "+mine+"\n", "Authentication-Results: x\n", "Authentication-Results:", "Authentication-Results: (", "A", "A\n", " \n", "\n a", "(", "a:\n"),
		[]lineartest.Input{{Head: "Authentication-Results: ", Unit: "()"}, {Head: "Authentication-Results: ", Unit: "(", Close: ")"}, {Head: "Authentication-Results: ", Unit: "\n "}, {Head: "Authentication-Results: ", Unit: "\\"}},
		lineartest.Around("Authentication-Results: (c) \"mx.example\" ; x\n y\n"))
}
