package top

import (
	"testing"
	"time"
)

// TestPauses: qmail-send spends at most a fiftieth of its time on destinations,
// and a 300th on lists of a queue of any size.
func TestPauses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		took               times
		destinations, list time.Duration
	}{
		{times{}, time.Second, 10 * time.Second},
		{times{time.Millisecond, time.Millisecond}, time.Second, 10 * time.Second},
		{times{100 * time.Millisecond, 2 * time.Second}, 5 * time.Second, 10 * time.Minute},
		{times{10 * time.Minute, 10 * time.Minute}, time.Hour, time.Hour},
	} {
		if destinations, list := c.took.pauses(); destinations != c.destinations || list != c.list {
			t.Errorf("%v: pauses of %v and %v, want %v and %v", c.took, destinations, list, c.destinations, c.list)
		}
	}
}
