package auth

import (
	"postrider/internal/fdpass"
	"postrider/internal/lineartest"
	"testing"
)

// R43.
func TestPacketsAreLinear(t *testing.T) {
	k := &knows{}
	server := &Server{Verifier: k, Guard: k, Log: func(error) {}}
	lineartest.Check(t, fdpass.MaxPacket, func(text string) {
		// Whether it is valid does not matter here.
		_, _ = parseQuestion([]byte(text))
		_, _ = parseVerdict([]byte(text))
		server.Answer([]byte(text))
	}, lineartest.Units("\x00", "\xff", "M", "a", "\x01"), lineartest.Around(string(question{kind: kindPassword, Attempt: Attempt{"joe", "::1"}, secret: []byte("x")}.append(nil))))
}
