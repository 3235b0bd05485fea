package logread

import (
	"postrider/internal/lineartest"
	"strings"
	"testing"
	"time"
)

// R43: a log, and lines without an end.
func TestParseIsLinear(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	around := []string{}
	for _, tc := range lines[:min(len(lines), 12)] {
		around = append(around, tc.line+"\n")
	}
	lineartest.Check(t, lineartest.Size, func(text string) {
		var out []byte
		for line := range strings.Lines(text) {
			at, rest := Stamp(strings.TrimSuffix(line, "\n"), now)
			out = Parse(rest).AppendJSON(out[:0], at)
		}
	}, lineartest.Units("a", " ", "\n", ":", "@4", "\"", "\\", "(", "<", "\xff", "a: ", "\x01"), lineartest.Around(around...))
}
