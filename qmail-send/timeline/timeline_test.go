package timeline

import (
	"testing"
	"time"
)

// A jump of the wall clock moves no moment; what is read from or written to
// disk is converted (R15).
func TestTimelineJumps(t *testing.T) {
	t.Parallel()
	start := time.Now() // with a monotonic reading
	line := New(start)
	later := start.Add(time.Hour)
	if got := time.Duration(line.At(later) - line.At(start)); got != time.Hour {
		t.Errorf("an hour is %v", got)
	}
	for _, jump := range []time.Duration{30 * 24 * time.Hour, -30 * 24 * time.Hour} {
		// A clock reading after the jump: monotonic time of later, another wall
		// time. It is made of a timeline that started with the wall clock set.
		jumped := New(start.Round(0).Add(-jump))
		now := start.Round(0).Add(time.Hour)
		due := jumped.At(now).Add(400 * time.Second)
		wall := jumped.ToWall(due, now)
		if got := wall.Sub(now); got != 400*time.Second {
			t.Errorf("due in 400 s is written as due in %v", got)
		}
		if got := jumped.FromWall(wall, now); got != due {
			t.Errorf("what was written is read as %v later", time.Duration(got-due))
		}
		if birth := jumped.FromWall(now, now); birth != jumped.At(now) {
			t.Error("a message that arrives now is not born now")
		}
	}
}
