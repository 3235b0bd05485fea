package spool

import (
	"bytes"

	"postrider/internal/precedence"
)

// bulkLook finds out whether the header of a message says that it is of a list
// or was sent in bulk: qmail-send gives such mail its turn behind what somebody
// waits for. It looks at each line's beginning, once, on its way to the disk.
type bulkLook struct {
	start [64]byte // how the line begins
	n     int      // bytes in start
	over  bool     // the header has ended
	bulk  bool
}

// write takes the next piece of the message.
func (b *bulkLook) write(p []byte) {
	for !b.over && len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		line := p
		if end >= 0 {
			line = p[:end]
		}
		b.n += copy(b.start[b.n:], line)
		if end < 0 {
			return
		}
		if b.n == 0 {
			b.over = true
		} else if b.maybe() && precedence.SaysBulk(string(b.start[:b.n])) {
			b.bulk, b.over = true, true
		}
		b.n = 0
		p = p[end+1:]
	}
}

// maybe tells whether the line can be of interest: few are.
func (b *bulkLook) maybe() bool {
	switch b.start[0] | 0x20 {
	case 'p', 'm', 'l':
		return true
	}
	return false
}
