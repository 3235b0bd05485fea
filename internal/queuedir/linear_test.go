package queuedir

import (
	"bytes"
	"postrider/internal/lineartest"
	"strings"
	"testing"
)

// R43: envelopes, progress and footers as damage may leave them.
func TestEntriesAreReadInLinearTime(t *testing.T) {
	progress, _ := sampleProgress()
	orders, _ := orderRecords()
	lineartest.Check(t, lineartest.Size, func(text string) {
		if r, err := NewEnvelopeReader(strings.NewReader(text)); err == nil {
			for err == nil { // whether it is whole does not matter here
				_, err = r.Next()
			}
		}
		_, _ = ReadRecords(strings.NewReader(text), func(Record, int64) error { return nil })
		_, _ = ParseFooter([]byte(text))
		_, _ = ParseDropFooter([]byte(text))
	}, lineartest.Units("Ta@b\x00", "\x00", "F", "T\x00", "Fa\x00", "\n", "00000000 d 1\n", "0", " ", "d 1 ", "\xff"),
		[]lineartest.Input{
			{Head: "Fa@b\x00u0\x00a0\x00n\x00", Unit: "Ta@b\x00"}, {Head: "Fa@b\x00u0\x00a0\x00n\x00", Unit: "Nnever\x00"}, {Head: "Fa@b\x00", Unit: "u0\x00"},
			{Unit: string(bytes.TrimRight(progress, "\n")) + "\n"}, {Unit: string(orders)}, {Unit: string(AppendMend([]byte("torn"), 4))},
			{Unit: string(AppendDelivered(nil, []int{1, 2, 3}))},
		},
		lineartest.Around(string(seedEnvelope("b@example.net", "", "local")), string(AppendBounced(nil, Discarded))))
}
