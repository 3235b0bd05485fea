package cdb

import (
	"bytes"
	"postrider/internal/lineartest"
	"testing"
)

// R43: a database in which each slot leads to the next, and to records that are
// as large as the file.
func TestGetIsLinear(t *testing.T) {
	good := string(build(t, record{"!joe\x00", "joe\x0010\x0010\x00/home/joe\x00\x00"}, record{"", "-"}))
	head := func(slots string) string { return string(bytes.Repeat([]byte("\x00\x08\x00\x00"+slots), 256)) }
	lineartest.Check(t, lineartest.Size, func(text string) {
		c, err := NewReader(bytes.NewReader([]byte(text)), int64(len(text)))
		if err != nil {
			return
		}
		for _, key := range []string{"", "a", "!joe\x00"} {
			_, _, _ = c.Get([]byte(key)) // whether it is there does not matter here
		}
		_, _ = c.Records()
	}, lineartest.Units("\x00", "\x01", "\xff", "\x00\x08\x00\x00", good),
		[]lineartest.Input{
			{Head: head("\xff\xff\x07\x00"), Unit: "\x05\x15\x00\x00\x00\x08\x00\x00"}, {Head: head("\xff\x00\x00\x00"), Unit: "\x05\x15\x00\x00\x01\x00\x00\x00"},
			{Head: head("\xff\xff\xff\xff"), Unit: "\x05\x15\x00\x00\xff\xff\xff\xff"}, {Head: head("\xff\xff\x01\x00"), Unit: "\x05\x15\x00\x00\x00\x10\x00\x00"},
		}, lineartest.Around(good[2048:]))
}
