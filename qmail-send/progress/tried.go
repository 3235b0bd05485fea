package progress

import (
	"strings"
	"time"

	"postrider/internal/queuedir"
)

// Why recipients were left for later is kept for people, in the progress file.
// It costs no sync of its own, and is given up where there is much of it.

const (
	// maxTried bounds what is written at a time, and maxTriedFile the progress file
	// behind which no more is added.
	maxTried     = 32 << 10
	maxTriedFile = 256 << 10
)

// tried is the deferrals of a message that are not in its progress file.
type tried struct {
	lines []byte
	// The last of them have one text.
	text    string
	at      time.Time
	indexes []int
}

// Tried notes why a recipient was left for later, for a progress file of that
// size.
func (u *Unwritten) Tried(size int64, index int, at time.Time, text string) {
	t := &u.reasons
	if size > maxTriedFile || len(t.lines)+8*len(t.indexes) > maxTried {
		return
	}
	text = strings.TrimRight(text, "\n")
	text = text[:min(len(text), queuedir.MaxReason)]
	goesUp := len(t.indexes) == 0 || index > t.indexes[len(t.indexes)-1]
	if text != t.text || !goesUp {
		t.encode()
	}
	t.text, t.at = text, at
	t.indexes = append(t.indexes, index)
}

// encode makes lines of everything.
func (t *tried) encode() {
	if len(t.indexes) > 0 {
		t.lines = queuedir.AppendTried(t.lines, t.indexes, t.at, t.text)
	}
	t.indexes = t.indexes[:0]
}
