package qmtp

import (
	"postrider/internal/address"
	"postrider/internal/lineartest"
	"strings"
	"testing"
)

// noQueue takes everything and keeps nothing.
type noQueue struct{}

func (noQueue) begin(origin) (submission, error) { return noQueue{}, nil }
func (noQueue) Write(p []byte) (int, error)      { return len(p), nil }
func (noQueue) Sender(string) error              { return nil }
func (noQueue) Recipient(string) error           { return nil }
func (noQueue) Commit() (string, error)          { return "1", nil }
func (noQueue) Abort()                           {}

// R43: QMTP and QMQP in strings of every kind, up to 4 MiB.
func TestSessionsAreLinear(t *testing.T) {
	var inputs []lineartest.Input
	for _, head := range []string{"", "4000000:\n", "4000000:\r", "3:\na\n,1:s,4000000:", "4000000:"} {
		for _, unit := range []string{"0:,", "1:a,", "0", "9", ":", ",", "\n", "\r", "\r\n", "\x00", "a", vector, qmqpVector, "13:a@example.com,", "0000000000"} {
			inputs = append(inputs, lineartest.Input{Head: head, Unit: unit})
		}
	}
	inputs = append(inputs, lineartest.Input{Head: "4000000:\n", Unit: strings.Repeat("a", address.MaxLen)})
	for _, p := range []protocol{qmtpProtocol, qmqpProtocol} {
		settings := testSettings(t, p, nil)
		lineartest.Check(t, lineartest.Size, func(text string) {
			session, _ := sessionWith(settings, p, &script{pieces: []string{text}})
			session.queue = noQueue{}
			_ = session.run() // ends at the end of the input, one way or other
		}, inputs, lineartest.Around(vector, qmqpVector))
	}
}
