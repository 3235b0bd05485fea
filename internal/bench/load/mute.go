package load

import (
	"io"
	"net"
	"time"
)

// mute is a host that takes connections and never says anything: the kernel
// keeps them. It answers once when it listens, and ends with its input.
func mute(o Order, input io.Reader, say func(Answer)) error {
	l, err := net.Listen("tcp", o.Server)
	if err != nil {
		return err
	}
	defer l.Close()
	say(Answer{Began: time.Now()})
	_, err = io.Copy(io.Discard, input)
	return err
}
