package spool

import (
	"math/rand/v2"
	"time"

	"postrider/internal/queuedir"
)

// namesInRow is how many messages in a row go into one bucket: a group then
// has one directory to sync, or two, and a backlog still spreads over all.
const namesInRow = 64

// names makes message numbers.
type names struct {
	sequence int
	bucket   int
	used     int // how often bucket was used in a row
}

func newNames(seed int64) *names {
	r := rand.New(rand.NewPCG(uint64(seed), rand.Uint64()))
	return &names{sequence: r.IntN(100), bucket: r.IntN(queuedir.Buckets)}
}

// next returns a number.
func (n *names) next(now time.Time) queuedir.ID {
	n.sequence = (n.sequence + 1) % 100
	if n.used++; n.used > namesInRow {
		n.used = 1
		n.bucket = (n.bucket + 1) % queuedir.Buckets
	}
	return queuedir.NewID(now, n.sequence, n.bucket)
}

// leave makes the next number one of another bucket.
func (n *names) leave(bucket int) {
	if n.bucket == bucket {
		n.used = namesInRow
	}
}
