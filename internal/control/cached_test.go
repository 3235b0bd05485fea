package control

import (
	"syscall"
	"testing"
	"time"
)

// The machine's trouble passes without a change of any file, and is told once.
func TestCachedErrorsPass(t *testing.T) {
	t.Parallel()
	err := error(syscall.EMFILE)
	c := NewCached(Dir(t.TempDir()), []string{"me"}, func() (int, error) { return 7, err })
	now := time.Now()
	get := func(wantFresh bool, want error) {
		t.Helper()
		now = now.Add(2 * Recheck)
		value, fresh, got := c.Get(now)
		if value != 7 || fresh != wantFresh || got != want {
			t.Errorf("%d, %v, %v; want %v, %v", value, fresh, got, wantFresh, want)
		}
	}
	get(true, syscall.EMFILE)
	get(false, syscall.EMFILE)
	err = syscall.EIO
	get(true, syscall.EIO)
	err = nil
	get(true, nil)
	err = syscall.EMFILE // nothing changed, so nothing is read
	get(false, nil)
}
