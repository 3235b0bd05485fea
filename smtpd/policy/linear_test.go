package policy

import (
	"postrider/internal/lineartest"
	"strings"
	"testing"
)

// R43: the file of the greylist, whole and damaged.
func TestLoadIsLinear(t *testing.T) {
	head := string(appendHeader(nil, [saltSize]byte{1}))
	one := string(appendRecord(nil, key{2}, record{3, 4, 5}))
	lineartest.Check(t, lineartest.Size, func(text string) {
		g, _ := newTestList()
		_, _, _ = load(strings.NewReader(text), g) // how much is whole does not matter here
	}, lineartest.Units("\x00", "\xff", head), []lineartest.Input{{Head: head, Unit: one}, {Head: head, Unit: "\x00"}, {Head: head, Unit: one + "x"}})
}
