package spool

import (
	"errors"
	"testing"
	"time"

	"postrider/internal/wire/submit"
)

// testClock stands still until it is moved.
type testClock struct{ now time.Time }

func (c *testClock) Now() time.Time { return c.now }

func (c *testClock) At(time.Time) (<-chan time.Time, func()) { return nil, func() {} }

// takeAll takes pieces until it is refused and returns how much it got.
func takeAll(s *shares, c *testClock, disk *space, uid uint32) (got int64) {
	const piece = 64 << 10
	for s.take(uid, piece) == nil {
		got += piece
		disk.free -= piece
		c.now = c.now.Add(time.Microsecond)
	}
	return got
}

// Mutation: without the sum of what a uid has, each of these gets the disk.
func TestNobodyGetsTheWholeDisk(t *testing.T) {
	t.Parallel()
	c := &testClock{time.Unix(1_000_000, 0)}
	disk := &space{free: 1 << 30, all: 1 << 30}
	s := newShares(c, func() (space, error) { return *disk, nil }, func(uid uint32) bool { return uid == 0 })
	first := takeAll(s, c, disk, 1000)
	if first < 200<<20 || first > 300<<20 {
		t.Errorf("the first gets %d MB of 1024", first>>20)
	}
	second := takeAll(s, c, disk, 1001)
	if second < 100<<20 || second > first {
		t.Errorf("the second gets %d MB", second>>20)
	}
	for uid := range uint32(1000) {
		takeAll(s, c, disk, 2000+uid)
	}
	if disk.free < disk.all/reserve-(1<<20) {
		t.Errorf("strangers leave %d MB", disk.free>>20)
	}
	if err := s.take(0, 1<<20); err != nil {
		t.Errorf("who is exempt: %v", err)
	}
	var r *refusal
	if err := s.take(1000, 1); !errors.As(err, &r) || r.answer().Kind != submit.Temporary {
		t.Errorf("got %v", err)
	}
}

func TestTimeGivesTheShareBack(t *testing.T) {
	t.Parallel()
	c := &testClock{time.Unix(1_000_000, 0)}
	disk := &space{free: 1 << 40, all: 1 << 40}
	s := newShares(c, func() (space, error) { return *disk, nil }, func(uint32) bool { return false })
	if got := takeAll(s, c, disk, 1000); got < shareBytes-(1<<20) || got > shareBytes+(1<<20) {
		t.Errorf("got %d MB at once", got>>20)
	}
	c.now = c.now.Add(time.Minute)
	if got := takeAll(s, c, disk, 1000); got < 59*shareRate || got > 61*shareRate {
		t.Errorf("got %d MB a minute later", got>>20)
	}
	c.now = c.now.Add(time.Hour)
	if s.take(1001, 1); len(s.taken) != 1 {
		t.Errorf("%d uids are remembered", len(s.taken))
	}
}
