package privatekey

import (
	"postrider/internal/lineartest"
	"testing"
)

// R43: the largest file that is read.
func TestParseIsLinear(t *testing.T) {
	_, e, d := generate(t)
	lineartest.Check(t, MaxFile, func(text string) {
		_, _ = Parse([]byte(text)) // whether it is valid does not matter here
		_, _ = ParseDKIM([]byte(text))
	}, lineartest.Units("-----BEGIN ", "-----BEGIN A-----\n", "-----BEGIN A-----\n-----END A-----\n", "a\n", "A", "-", "\n", ":", "A: b\n", block("CERTIFICATE", []byte{1}), pkcs8(t, e), pkcs8(t, d)))
}
