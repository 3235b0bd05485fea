package precedence

import "bytes"

// Look finds out whether the header of a message says that it is of a list or
// was sent in bulk. It looks at each line's beginning, once, on the message's way
// to the disk. Its zero value has seen nothing.
type Look struct {
	start [64]byte // how the line begins
	n     int      // bytes in start
	over  bool     // the header has ended
	bulk  bool
}

// Bulk reports whether what was written so far says so.
func (b *Look) Bulk() bool { return b.bulk }

// Write takes the next piece of the message. There are no errors.
func (b *Look) Write(p []byte) (int, error) {
	b.take(p)
	return len(p), nil
}

func (b *Look) take(p []byte) {
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
		} else if b.maybe() && SaysBulk(string(b.start[:b.n])) {
			b.bulk, b.over = true, true
		}
		b.n = 0
		p = p[end+1:]
	}
}

// maybe tells whether the line can be of interest: few are.
func (b *Look) maybe() bool {
	switch b.start[0] | 0x20 {
	case 'p', 'm', 'l':
		return true
	}
	return false
}
