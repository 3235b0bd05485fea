package moved

import (
	"path/filepath"
	"testing"
	"time"
)

func TestClockMovesWithItsFile(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	if _, err := Open(home); err == nil {
		t.Error("a clock without a file")
	}
	file := filepath.Join(home, File)
	if err := Set(file, 0); err != nil {
		t.Fatal(err)
	}
	c, err := Open(home)
	if err != nil {
		t.Fatal(err)
	}
	start := c.Now()
	if d := time.Since(start); d < -time.Second || d > time.Minute {
		t.Errorf("an unmoved clock is %v off", d)
	}
	soon, stop := c.At(start.Add(time.Hour))
	defer stop()
	never, stopNever := c.At(start.Add(48 * time.Hour))
	if err := Set(file, 2*time.Hour); err != nil {
		t.Fatal(err)
	}
	select {
	case now := <-soon:
		if now.Sub(start) < 2*time.Hour {
			t.Errorf("woken at %v", now.Sub(start))
		}
	case <-time.After(time.Minute):
		t.Error("a moved clock wakes nobody")
	}
	stopNever()
	stopNever()
	select {
	case <-never:
		t.Error("woken too early")
	default:
	}
}
