package testhost

import (
	"context"
	"testing"
	"time"
)

const (
	// patience bounds every wait for something that normally takes
	// milliseconds: enough for a loaded machine, short enough for a person.
	patience = 60 * time.Second
	// lingering is how long output of a program that has ended is still read.
	lingering = 5 * time.Second
)

func deadlineIn(d time.Duration) time.Time { return time.Now().Add(d) }

// Within returns a context that ends after d or with the test.
func Within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
