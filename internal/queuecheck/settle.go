package queuecheck

import (
	"time"

	"postrider/internal/queuedir"
	"postrider/internal/queuelock"
)

// maxSuspects bounds the names that are kept to be looked at again.
const maxSuspects = 100_000

// pauses are those between the looks at what a working suite has for moments
// only: until its disk has synced, or a program of many results is done. Who
// works on a queue looks at other names meanwhile; a disk may be very slow.
var pauses = []time.Duration{
	250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 30 * time.Second,
}

// suspect is a name about which something was found.
type suspect struct {
	place place
	found []Finding
}

// look looks at a name, and tells what it finds or keeps it in mind.
func (c *check) look(p place) error {
	c.counting = true
	found := c.examine(p)
	c.counting = false
	if len(found) == 0 {
		return nil
	}
	if c.held != nil { // nobody else works here
		return c.tell(p, found)
	}
	c.suspects = append(c.suspects, suspect{p, found})
	if len(c.suspects) < maxSuspects {
		return nil
	}
	return c.settle()
}

// settle looks at all suspects again, and tells what stays.
func (c *check) settle() error {
	running := c.isRunning()
	for round := 0; len(c.suspects) > 0; round++ {
		if round > 0 && running {
			c.Pause(pauses[round-1])
		}
		last := !running || round == len(pauses)
		var left []suspect
		for _, s := range c.suspects {
			still := both(s.found, c.examine(s.place))
			stays, passes := split(still, last)
			if len(stays) > 0 {
				if err := c.tell(s.place, stays); err != nil {
					return err
				}
			}
			if len(passes) > 0 {
				left = append(left, suspect{s.place, passes})
			}
		}
		c.suspects = left
	}
	c.suspects = nil
	return nil
}

// both returns what was found and is found now.
func both(before, now []Finding) (still []Finding) {
	for _, f := range now {
		for _, b := range before {
			if b.Kind == f.Kind {
				still = append(still, f)
				break
			}
		}
	}
	return still
}

// split divides what is told from what is looked at again.
func split(found []Finding, last bool) (stays, passes []Finding) {
	for _, f := range found {
		if f.passing && !last {
			passes = append(passes, f)
		} else {
			stays = append(stays, f)
		}
	}
	return stays, passes
}

// isRunning reports whether a daemon that owns the queue works, for all that
// whoever asks can see.
func (c *check) isRunning() bool {
	for _, name := range []string{c.Layout.SpoolLock(), c.Layout.SendLock()} {
		f, err := queuedir.OpenFile(name)
		if isForbidden(err) {
			return true
		}
		if err != nil {
			continue // nobody can have it
		}
		err = queuelock.Try(f)
		_ = f.Close() // and the lock goes with it: who waits for it has it at once
		if err != nil {
			return true
		}
	}
	return false
}
