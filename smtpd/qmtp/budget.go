package qmtp

import "sync/atomic"

// maxMemory bounds what all sessions together hold beyond what an idle one has
// (R42).
const maxMemory = 6 << 20

// budget is memory that sessions share. It never waits: a session that gets
// none goes on with what it has, or tells its client to come again.
type budget struct{ used atomic.Int64 }

// take reserves n bytes; false means that there is no room.
func (b *budget) take(n int) bool {
	if b.used.Add(int64(n)) > maxMemory {
		b.used.Add(int64(-n))
		return false
	}
	return true
}

func (b *budget) give(n int) { b.used.Add(int64(-n)) }
