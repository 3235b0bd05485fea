package top

import (
	"testing"
	"time"

	"postrider/qmail-send/top/ask"
)

// TestPauses: qmail-send spends at most a fiftieth of its time on destinations,
// and a 300th on lists of a queue of any size.
func TestPauses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		took               ask.Times
		destinations, list time.Duration
	}{
		{ask.Times{}, time.Second, 10 * time.Second},
		{ask.Times{Destinations: time.Millisecond, List: time.Millisecond}, time.Second, 10 * time.Second},
		{ask.Times{Destinations: 100 * time.Millisecond, List: 2 * time.Second}, 5 * time.Second, 10 * time.Minute},
		{ask.Times{Destinations: 10 * time.Minute, List: 10 * time.Minute}, time.Hour, time.Hour},
	} {
		if destinations, list := pauses(c.took); destinations != c.destinations || list != c.list {
			t.Errorf("%v: pauses of %v and %v, want %v and %v", c.took, destinations, list, c.destinations, c.list)
		}
	}
}
