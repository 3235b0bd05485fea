package mailboxes

import (
	"fmt"
	"testing"
	"time"
)

// Recipients that exist are asked for once in a while, others each time.
func TestRecent(t *testing.T) {
	t.Parallel()
	var r recent
	at := time.Unix(1_800_000_000, 0)
	r.add("joe", at)
	for _, c := range []struct {
		after time.Duration
		known bool
	}{
		{0, true}, {recentTime - 1, true}, {recentTime, true}, {2*recentTime - 1, true}, {2 * recentTime, false}, {recentTime, false},
	} {
		if got := r.has("joe", at.Add(c.after)); got != c.known {
			t.Errorf("after %v: %v", c.after, got)
		}
	}
	if r.has("jim", at) {
		t.Error("somebody else is known")
	}
	r.add("joe", at)
	if r.has("joe", at.Add(-time.Second)) {
		t.Error("known after the clock was set back")
	}
	for i := range 3 * maxRecent {
		r.add(fmt.Sprint(i), at)
		if len(r.now)+len(r.old) > maxRecent {
			t.Fatalf("%d are remembered", len(r.now)+len(r.old))
		}
	}
	if !r.has(fmt.Sprint(3*maxRecent-1), at) || r.has("0", at) {
		t.Error("the newest are not those that are remembered")
	}
}
