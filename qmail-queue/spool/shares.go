package spool

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/clock"
)

// What strangers submit belongs to us on disk: no quota of the file system
// counts it as theirs. So nobody of them gets the whole disk, nor all of them
// the last of it, which is kept for the network and for bounces.
const (
	// shareBytes is the most that one uid may submit at once, and more only as
	// shareRate per second allows.
	shareBytes = 1 << 30
	shareRate  = 1 << 20
	// shareOfFree is the part of the free space that one uid may have, and
	// reserve the part of all space that no stranger may have.
	shareOfFree = 4
	reserve     = 20
	// spaceAge is how old a look at the free space may be.
	spaceAge = 100 * time.Millisecond
	// uselessBytes is how much of a refused message is read: its submitter is
	// told at its end, and no later than that.
	uselessBytes = 64 << 20
)

// space is what a file system has, in bytes.
type space struct{ free, all int64 }

// shares counts what uids have submitted.
type shares struct {
	clock  clock.Clock
	look   func() (space, error)
	exempt func(uid uint32) bool

	mu     sync.Mutex
	space  space
	looked time.Time
	taken  map[uint32]*taken
}

// taken is what a uid has submitted and time has not forgiven.
type taken struct {
	bytes int64
	at    time.Time
}

func newShares(c clock.Clock, look func() (space, error), exempt func(uint32) bool) *shares {
	return &shares{clock: c, look: look, exempt: exempt, taken: make(map[uint32]*taken)}
}

// spaceOf looks at the file system of a directory.
func spaceOf(dir string) func() (space, error) {
	return func() (space, error) {
		var st unix.Statfs_t
		if err := unix.Statfs(dir, &st); err != nil {
			return space{}, err
		}
		return space{free: int64(st.Bavail) * st.Bsize, all: int64(st.Blocks) * st.Bsize}, nil
	}
}

// take counts n bytes for a uid, or tells that it has had its share.
func (s *shares) take(uid uint32, n int) error {
	if s == nil || s.exempt(uid) {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	if since := now.Sub(s.looked); since >= spaceAge || since < 0 {
		current, err := s.look()
		if err != nil {
			return nil // the disk itself will say what it thinks
		}
		s.space, s.looked = current, now
		s.forgive(now)
	}
	t := s.taken[uid]
	if t == nil {
		t = &taken{at: now}
		s.taken[uid] = t
	}
	if s.space.free < s.space.all/reserve {
		return overShare("the queue's disk is nearly full: the rest is kept for mail from the network")
	}
	if t.bytes+int64(n) > min(shareBytes, (s.space.free+t.bytes)/shareOfFree) {
		return overShare(fmt.Sprintf("uid %d submits more than its share", uid))
	}
	t.bytes += int64(n)
	s.space.free -= int64(n) // until the next look
	return nil
}

// forgive takes from what uids have submitted what time allows, and forgets
// those that have nothing left.
func (s *shares) forgive(now time.Time) {
	for uid, t := range s.taken {
		if passed := now.Sub(t.at); passed > 0 {
			t.bytes -= int64(passed.Seconds() * shareRate)
		}
		if t.at = now; t.bytes <= 0 {
			delete(s.taken, uid)
		}
	}
}

func overShare(why string) error {
	return &refusal{code: exitWrite, err: fmt.Errorf("%s", why)}
}
