package wording

import (
	"testing"
	"time"
)

func TestWords(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		Full(0): "0", Full(999): "999", Full(1000): "1,000", Full(1e6): "1,000,000", Full(-1): "?",
		Short(9999): "9999", Short(12345): "12.3k", Short(123456): "123k", Short(999999): "1.0M", Short(1e12): "1T",
		PerSecond(0): "0", PerSecond(0.001): "0.01", PerSecond(9.12): "9.1", PerSecond(123): "123", PerSecond(12345): "12.3k",
		Brief(0.002): "2ms", Brief(0.4): "0.4s", Brief(12): "12s", Brief(300): "5m", Brief(7200): "2h", Brief(3 * 86400): "3d", Brief(-1): "?",
		Long(49 * time.Hour): "2d 1h", Long(62 * time.Second): "1m 2s", Long(-1): "0s",
		Cut("abcdef", 4): "abc>", Cut("abc", 0): "",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for n := 0.0; n < 1e14; n = n*1.7 + 0.013 {
		for _, word := range []string{Short(n), PerSecond(n)} {
			if len(word) > 5 {
				t.Fatalf("%g is %q, of more than five columns", n, word)
			}
		}
		if word := Brief(n / 1000); n < 1e11 && len(word) > 5 {
			t.Fatalf("%g s is %q, of more than five columns", n/1000, word)
		}
	}
}
