package smtpd

import (
	"sync"
	"sync/atomic"
)

// Sizes of the buffers that sessions borrow; an idle session has none. Text
// begins in a tiny one, so that those who send an octet now and then have
// little.
const (
	tinyBuffer  = 2 << 10
	smallBuffer = 8 << 10
	// largeBuffer holds a message that is handed on in one piece, with its
	// Received line.
	largeBuffer = 68 << 10
	// maxBorrowed bounds what all sessions together hold (R42).
	maxBorrowed = 6 << 20
)

// budget lends memory to sessions. It never waits: a session that gets none
// goes on with what it has, or tells its client to come again.
type budget struct {
	used  atomic.Int64
	tiny  sync.Pool
	small sync.Pool
	large sync.Pool
}

// take reserves n bytes; false means that there is no room.
func (b *budget) take(n int) bool { return b.takeOf(n, maxBorrowed) }

func (b *budget) takeOf(n int, most int64) bool {
	if b.used.Add(int64(n)) > most {
		b.used.Add(int64(-n))
		return false
	}
	return true
}

// mostFor is up to where buffers of a size are lent: the larger ones leave
// room for the smaller, so that those who come when many hold much still get
// what they cannot do without.
func mostFor(size int) int64 {
	switch size {
	case largeBuffer:
		return maxBorrowed / 4 * 3
	case smallBuffer:
		return maxBorrowed / 8 * 7
	}
	return maxBorrowed
}

func (b *budget) give(n int) { b.used.Add(int64(-n)) }

// borrow returns an empty buffer of one of the sizes, or nil.
func (b *budget) borrow(size int) []byte {
	if !b.takeOf(size, mostFor(size)) {
		return nil
	}
	if buf, _ := b.pool(size).Get().(*[]byte); buf != nil {
		return (*buf)[:0]
	}
	return make([]byte, 0, size)
}

// back takes back what borrow returned; nil is nothing.
func (b *budget) back(buf []byte) {
	if buf == nil {
		return
	}
	b.give(cap(buf))
	buf = buf[:0]
	b.pool(cap(buf)).Put(&buf)
}

func (b *budget) pool(size int) *sync.Pool {
	switch size {
	case largeBuffer:
		return &b.large
	case smallBuffer:
		return &b.small
	}
	return &b.tiny
}
