package filter

import (
	"postrider/internal/fdpass"
	"postrider/internal/lineartest"
	"testing"
)

// R43.
func TestVariablesAreLinear(t *testing.T) {
	lineartest.Check(t, fdpass.MaxPacket, func(text string) {
		_, _, _ = ParseVariables([]byte(text)) // whether it is valid does not matter here
	}, lineartest.Units("\x00", "a", "=", "PROTO=TCP\x00", "SMTPHELOHOST=x\x00"), lineartest.Around("TCPREMOTEIP=::1\x00RELAYCLIENT=\x00PROTO=TCP\x00"))
}
