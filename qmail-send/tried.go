package qmailsend

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

// noteTried notes why a recipient was left for later.
func (a *active) noteTried(index int, at time.Time, text string) {
	t := &a.progress.tried
	if a.size > maxTriedFile || len(t.lines)+8*len(t.indexes) > maxTried {
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

// mend makes the lines of u fit for coming behind n bytes of what was tried.
func (u *unwritten) mend(n int64) {
	if n <= 0 || len(u.lines) == 0 {
		return
	}
	before := queuedir.AppendMend(nil, n)
	if u.covered > 0 {
		u.covered += len(before)
	}
	u.lines = append(before, u.lines...)
}

// encode makes lines of everything.
func (t *tried) encode() {
	if len(t.indexes) > 0 {
		t.lines = queuedir.AppendTried(t.lines, t.indexes, t.at, t.text)
	}
	t.indexes = t.indexes[:0]
}
