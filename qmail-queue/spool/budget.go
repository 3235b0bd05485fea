package spool

import "sync/atomic"

// messageMemory is how much of messages that are being received may be in
// memory, all together. What goes beyond is written to tmp/ early.
const messageMemory = 4 << 20

// budget is an amount of memory that is shared.
type budget struct{ left atomic.Int64 }

func newBudget(n int64) *budget {
	b := &budget{}
	b.left.Store(n)
	return b
}

// take tells whether n bytes could be had.
func (b *budget) take(n int) bool {
	if b.left.Add(int64(-n)) < 0 {
		b.left.Add(int64(n))
		return false
	}
	return true
}

func (b *budget) give(n int) { b.left.Add(int64(n)) }
