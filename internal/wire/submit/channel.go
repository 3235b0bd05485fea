package submit

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
)

// Connect makes a connection to the spool over a submit channel: a socket
// pair, one end handed over. The caller reads the greeting.
func Connect(channel *fdpass.Packets) (*os.File, error) {
	ours, theirs, err := fdpass.Pair(unix.SOCK_STREAM)
	if err != nil {
		return nil, err
	}
	sent, err := channel.TrySend([]byte{ChannelByte}, theirs)
	_ = theirs.Close() // sent or useless
	if err == nil && !sent {
		err = errors.New("qmail-spool does not take new connections: its channel is full")
	}
	if err != nil {
		_ = ours.Close() // nothing was written
		return nil, err
	}
	return ours, nil
}

// ReceiveConnection waits for the next connection on a submit channel: the
// spool's end. io.EOF means that the peer left; after fdpass.ErrShortage the
// next one can be received, and the peer sees the lost one end.
func ReceiveConnection(channel *fdpass.Packets) (*os.File, error) {
	var buf [1]byte
	_, files, err := channel.Receive(buf[:], 1)
	if err != nil {
		return nil, err
	}
	if buf[0] != ChannelByte || len(files) != 1 {
		fdpass.CloseAll(files)
		return nil, errors.New("submit channel: not a connection")
	}
	return files[0], nil
}
