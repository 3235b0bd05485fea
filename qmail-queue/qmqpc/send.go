package qmqpc

import (
	"net/netip"
	"time"
)

const (
	connectTime = 10 * time.Second
	// silence is how long a server may take for the next step.
	silence = 60 * time.Second
	// maxDigits bounds the length in front of an answer.
	maxDigits = 10
)

// sendToFirst sends the request to the first server that can be reached. If
// there is none, the error is that of the last.
func sendToFirst(servers []netip.AddrPort, r request) (err error) {
	for _, server := range servers {
		var c *connection
		if c, err = connect(server, time.Now().Add(connectTime)); err == nil {
			defer c.close()
			return send(c, r)
		}
	}
	return err
}

// send sends the request and waits for its answer.
func send(c *connection, r request) error {
	if err := c.write(r); err != nil {
		return failure(exitBroken)
	}
	class, err := readClass(c)
	switch {
	case err != nil:
		return failure(exitBroken)
	case class == 'K':
		return nil
	case class == 'Z':
		return failure(exitNotNow)
	case class == 'D':
		return failure(exitRefused)
	}
	return failure(exitBroken)
}

// readClass reads an answer up to its first octet, which says all. Whatever is
// not the beginning of a netstring is no answer: a server of something else
// must not be taken for one that has the message.
func readClass(c *connection) (byte, error) {
	for digits := 0; digits <= maxDigits; digits++ {
		b, err := c.readByte()
		switch {
		case err != nil:
			return 0, err
		case b == ':' && digits > 0:
			return c.readByte()
		case b < '0' || '9' < b:
			return 0, failure(exitBroken)
		}
	}
	return 0, failure(exitBroken)
}
