package tlsrpt

import (
	"postrider/internal/lineartest"
	"testing"
)

// R43: a record that fills an answer of the DNS.
func TestRecordIsLinear(t *testing.T) {
	lineartest.Check(t, 64<<10, func(text string) {
		ParseRecord([]string{"v=TLSRPTv1;" + text})
	}, lineartest.Units(";", ",", "rua=mailto:a@b,", "rua=", "%41", "%", " ", "a", "https://a/,"),
		lineartest.Around("v=TLSRPTv1; rua=mailto:a%2Bb@b.example,https://b.example/"))
}
