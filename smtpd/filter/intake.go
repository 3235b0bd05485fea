package filter

import (
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"postrider/internal/scratch"
)

// intake keeps a message that comes over a connection.
type intake struct {
	conn *os.File
	file *scratch.File // nil: nothing came, or there is no room
	// failure is why the message is refused; the rest is read and dropped.
	failure error
}

// room makes the file.
func (i *intake) room(dir *scratch.Dir) {
	if i.failure != nil || i.file != nil {
		return
	}
	file, err := dir.Create()
	if err != nil {
		i.failure = refuse(textNoFilter, err)
		return
	}
	i.file = file
}

// pieces are buffers for what is copied.
var pieces = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// take keeps the payload of a frame, or drops it if that has failed.
func (i *intake) take(n int64) error {
	piece := pieces.Get().(*[]byte)
	defer pieces.Put(piece)
	for n > 0 {
		part := (*piece)[:min(n, int64(len(*piece)))]
		if _, err := io.ReadFull(i.conn, part); err != nil {
			return err
		}
		n -= int64(len(part))
		if i.failure != nil {
			continue
		}
		if _, err := i.file.Write(part); err != nil {
			i.failure = refuse(textNoRoom, err)
			i.file.Close()
		}
	}
	return nil
}

func (i *intake) close() {
	if i.file != nil {
		i.file.Close()
	}
}

// gone reports whether the peer has left.
func (i *intake) gone() bool {
	raw, err := i.conn.SyscallConn()
	if err != nil {
		return true
	}
	gone := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, peekErr := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		gone = peekErr != unix.EAGAIN
	})
	return err != nil || gone
}
