package milterwire

import (
	"bytes"
	"postrider/internal/lineartest"
	"postrider/internal/milterwire/miltertest"
	"strings"
	"testing"
	"time"
)

// R43: what milters say, in packets without an end and in endless numbers.
func TestMiltersAreReadInLinearTime(t *testing.T) {
	usual := string(append(miltertest.Options(0), bytes.Repeat(miltertest.Continue, 8)...))
	packets := func(p ...miltertest.Packet) string { return string(miltertest.Packets(p...)) }
	var inputs []lineartest.Input
	for _, head := range []string{"", usual} {
		for _, unit := range []string{
			"\x00", "\xff", "\x00\x00\x00\x01c", packets(pkt('p', "")), packets(pkt('b', "x")), packets(pkt('h', "X\x00a\x00")), packets(pkt('+', "<a@b>\x00")),
			packets(pkt('b', strings.Repeat("x", 60000))), packets(pkt('h', "X\x00"+strings.Repeat("\n", 1000)+"\x00")), packets(pkt('h', "X\x00"+strings.Repeat("\r", 60000)+"\x00")),
			packets(pkt('y', "550 5.1.1 "+strings.Repeat("a\r\n550 ", 1000)+"\x00")), packets(pkt('y', strings.Repeat("550-", 10000)+"\x00")),
		} {
			inputs = append(inputs, lineartest.Input{Head: head, Unit: unit})
		}
	}
	lineartest.Check(t, lineartest.Size, func(text string) {
		c, err := Open(spoken{bytes.NewReader([]byte(text))}, time.Second)
		if err != nil {
			return
		}
		var body bytes.Buffer
		_, _, _, _ = converse(c, &body) // what it says does not matter here
	}, inputs, lineartest.Around(usual+packets(pkt('h', "X\x00a\r\nb\x00"), pkt('b', "x"), pkt('+', "<a@b>\x00"), pkt('c', ""))))
}
