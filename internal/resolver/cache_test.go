package resolver

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"postrider/internal/clock"
)

// Neither lookups that run nor those that are kept are without a bound.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newCache(clock.Real(), 10)
	found := func() (records, time.Duration, error) { return records{texts: []string{"x"}}, time.Hour, nil }
	for i := range 100 {
		if _, err := c.get(context.Background(), key{fmt.Sprint(i), 1}, found); err != nil || len(c.entries) > 10 {
			t.Fatalf("%d are kept, %v", len(c.entries), err)
		}
	}
	release := make(chan struct{})
	hangs := func() (records, time.Duration, error) { <-release; return found() }
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for i := range maxFlights {
		if _, err := c.get(ended, key{fmt.Sprint("slow", i), 1}, hangs); !errors.Is(err, context.Canceled) {
			t.Fatalf("lookup %d: %v", i, err)
		}
	}
	if _, err := c.get(context.Background(), key{"one more", 1}, found); !errors.Is(err, errBusy) || IsAnswer(err) {
		t.Errorf("with %d at a time: %v", maxFlights, err)
	}
	close(release)
}
