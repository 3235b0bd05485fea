package logline

import (
	"errors"
	"fmt"
	"strconv"
	"syscall"
	"testing"
	"time"
)

func TestSeldom(t *testing.T) {
	t.Parallel()
	var s Seldom
	now := time.Unix(1_800_000_000, 0)
	full := func(name string) error { return fmt.Errorf("write %s: %w", name, syscall.ENOSPC) }
	for _, step := range []struct {
		name string
		wait time.Duration
		err  error
		note string
		ok   bool
	}{
		{"first", 0, full("tmp/1"), "", true},
		{"the same cause", time.Second, full("tmp/2"), "", false},
		{"another cause", 0, errors.New("x"), "", true},
		{"still the same minute", 58 * time.Second, full("tmp/3"), "", false},
		{"the next minute", time.Second, full("tmp/4"), " (and 2 times more since this was told last)", true},
		{"nothing left out", time.Minute, full("tmp/5"), "", true},
		{"the clock was set back", -time.Hour, full("tmp/6"), "", true},
	} {
		now = now.Add(step.wait)
		if note, ok := s.Allow(now, step.err); note != step.note || ok != step.ok {
			t.Errorf("%s: %q, %v", step.name, note, ok)
		}
	}
	for i := range 1000 {
		if _, ok := s.Allow(now, errors.New(strconv.Itoa(i))); !ok {
			t.Fatalf("cause %d is not told", i)
		}
	}
	if len(s.causes) > maxCauses {
		t.Errorf("%d causes are remembered", len(s.causes))
	}
}
