package spool

import (
	"postrider/internal/address"
	"postrider/internal/esmtp"
	"postrider/internal/lineartest"
	"testing"
)

// R43: envelopes as programs hand them in, in frames of every size.
func TestEnvelopesAreReadInLinearTime(t *testing.T) {
	for _, frame := range []int{7, 4 << 10, 256 << 10} {
		lineartest.Check(t, lineartest.Size, func(text string) {
			e := envelope{recipient: func(address.Address, esmtp.Recipient) error { return nil }}
			b := []byte(text)
			for err := error(nil); len(b) > 0 && err == nil; { // whether it is valid does not matter here
				n := min(frame, len(b))
				err = e.write(b[:n])
				b = b[n:]
			}
		}, lineartest.Units("\x00", "F", "a"), []lineartest.Input{
			{Head: "Fa@b\x00", Unit: "Tc@d\x00"}, {Head: "Fa@b\x00", Unit: "T"}, {Head: "Fa@b\x00", Unit: "T\x00"}, {Head: "Fa@b\x00", Unit: "NNEVER\x00"}, {Head: "Fa@b\x00U\x00", Unit: "NNEVER\x00orfc822;c@d\x00Tc@d\x00"}, {Head: "F", Unit: "a"}, {Head: "Fa@b\x00", Unit: "rHDRS\x00"},
		}, lineartest.Around(goodEnvelope))
	}
}
