package qmqpc

import (
	"postrider/internal/lineartest"
	"strings"
	"testing"
)

// R43: envelopes and messages.
func TestRequestsAreReadInLinearTime(t *testing.T) {
	lineartest.Check(t, lineartest.Size, func(text string) {
		// Whether it is valid does not matter here.
		_, _ = readRequest(strings.NewReader("x"), strings.NewReader(text))
		_, _ = readRequest(strings.NewReader(text), strings.NewReader(testEnvelope))
	}, lineartest.Units("\x00", "T\x00", "Ta@b\x00", "F", "a", "\n"), []lineartest.Input{{Head: "Fa@b\x00", Unit: "Tc@d\x00", Tail: "\x00"}, {Head: "Fa@b\x00", Unit: "T\x00", Tail: "\x00"}},
		lineartest.Around(testEnvelope))
}
