package testhost

import (
	"os"
	"testing"
)

// Long says that fault tests run in their long form, for hours and by hand
// ("make test-faults FAULTS=long"). Else they are bounded for every change.
func Long() bool { return os.Getenv("FAULTS") == "long" }

// Times returns how often something is tried: bounded or, in the long form,
// long. It tells the log which, so that a figure is never taken for the other.
func Times(t testing.TB, what string, bounded, long int) int {
	t.Helper()
	n := bounded
	if Long() {
		n = long
	}
	t.Logf("%s: %d", what, n)
	return n
}
