package spool

import (
	"math/rand/v2"
	"time"

	"postrider/internal/queuedir"
)

// namesInRow is how many messages in a row go into one bucket: writers that
// come one after another find its directory in the cache, and a backlog still
// spreads over all.
const namesInRow = 64

// names makes message numbers. Writers at the same time get buckets of their
// own as far as there are any, since each directory has one lock.
type names struct {
	sequence int
	free     []int // the last is used next
	held     map[int]int
	used     int // how often the bucket at the top was used in a row
	spare    int // next bucket when all are held
}

func newNames(seed int64) *names {
	r := rand.New(rand.NewPCG(uint64(seed), rand.Uint64()))
	return &names{sequence: r.IntN(100), free: r.Perm(queuedir.Buckets), held: make(map[int]int)}
}

// next returns a number; its bucket is held until release.
func (n *names) next(now time.Time) queuedir.ID {
	n.sequence = (n.sequence + 1) % 100
	bucket := n.take()
	n.held[bucket]++
	return queuedir.NewID(now, n.sequence, bucket)
}

func (n *names) take() int {
	if len(n.free) == 0 {
		n.spare = (n.spare + 1) % queuedir.Buckets
		return n.spare
	}
	top := len(n.free) - 1
	if n.used++; n.used > namesInRow {
		// The bucket that was used most goes to the end of the line.
		n.used = 1
		worn := n.free[top]
		copy(n.free[1:], n.free[:top])
		n.free[0] = worn
	}
	bucket := n.free[top]
	n.free = n.free[:top]
	return bucket
}

// release gives the bucket of id back.
func (n *names) release(id queuedir.ID) {
	bucket := id.BucketIndex()
	if n.held[bucket]--; n.held[bucket] == 0 {
		delete(n.held, bucket)
		n.free = append(n.free, bucket)
	}
}
