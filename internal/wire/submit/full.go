package submit

import (
	"fmt"

	"postrider/internal/fdpass"
)

// What the spool says on the channel of a daemon that wants to know before it
// takes a message: see the package comment.
const (
	fullByte = 'F'
	openByte = 'O'
)

// SayFull tells the daemon behind a channel whether mail is taken. It does not
// wait: sent is false if that must be said again.
func SayFull(channel *fdpass.Packets, full bool) (sent bool, err error) {
	b := byte(openByte)
	if full {
		b = fullByte
	}
	return channel.TrySend([]byte{b})
}

// HearFull calls hear with what the spool says on a channel, until that ends.
func HearFull(channel *fdpass.Packets, hear func(full bool)) error {
	var buf [1]byte
	for {
		n, _, err := channel.Receive(buf[:], 0)
		switch {
		case err != nil:
			return err
		case n == 1 && buf[0] == fullByte:
			hear(true)
		case n == 1 && buf[0] == openByte:
			hear(false)
		default:
			return fmt.Errorf("submit channel: %q of the spool", buf[:n])
		}
	}
}
