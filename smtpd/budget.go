package smtpd

import (
	"sync"
	"sync/atomic"
)

// Sizes of the buffers that sessions borrow; an idle session has none.
const (
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
	small sync.Pool
	large sync.Pool
}

// take reserves n bytes; false means that there is no room.
func (b *budget) take(n int) bool {
	if b.used.Add(int64(n)) > maxBorrowed {
		b.used.Add(int64(-n))
		return false
	}
	return true
}

func (b *budget) give(n int) { b.used.Add(int64(-n)) }

// borrow returns an empty buffer of smallBuffer or largeBuffer bytes, or nil.
func (b *budget) borrow(size int) []byte {
	if !b.take(size) {
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
	if size == largeBuffer {
		return &b.large
	}
	return &b.small
}
