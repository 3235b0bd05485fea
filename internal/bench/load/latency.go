package load

import (
	"errors"
	"io"
	"time"
)

// pause is between two messages of latency: each meets a system that has
// nothing else to do but its backlog.
const pause = 10 * time.Millisecond

// latency sends o.Messages one after another and measures from the beginning
// of the connection until the file is in the mailbox o.Dir. It gives up after
// o.Limit, or when its input ends, and answers with what it has.
func latency(o Order, in io.Reader, say func(Answer)) error {
	enough := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, in) // there is nothing in it
		close(enough)
	}()
	box, err := watch(o.Dir)
	if err != nil {
		return err
	}
	defer box.close()
	data := text(o.Size, o.Recipients[0])
	a := Answer{Began: time.Now()}
	for range o.Messages {
		if time.Since(a.Began) > o.Limit || ended(enough) {
			break
		}
		start := time.Now()
		sent := make(chan error, 1)
		go func() {
			accepted, err := one(o.Server, o.Recipients[:1], data)
			if !accepted.IsZero() {
				err = nil
			}
			sent <- err
		}()
		there, err := box.next(max(time.Second, o.Limit-time.Since(a.Began)))
		if err := errors.Join(err, <-sent); err != nil {
			return err
		}
		a.Millis = append(a.Millis, millis(there.Sub(start)))
		time.Sleep(pause)
	}
	a.Ended, a.Count = time.Now(), len(a.Millis)
	say(a)
	return nil
}

func ended(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// first tries to send one message from before the server listens, and says
// when it was accepted and when it was in the mailbox.
func first(o Order, _ io.Reader, say func(Answer)) error {
	box, err := watch(o.Dir)
	if err != nil {
		return err
	}
	defer box.close()
	data := text(o.Size, o.Recipients[0])
	say(Answer{Began: time.Now()})
	var accepted time.Time
	for start := time.Now(); ; time.Sleep(2 * time.Millisecond) {
		var err error
		accepted, err = one(o.Server, o.Recipients[:1], data)
		if !accepted.IsZero() {
			break
		}
		if time.Since(start) > o.Limit {
			return err
		}
	}
	there, err := box.next(o.Limit)
	if err != nil {
		return err
	}
	say(Answer{Began: accepted, Ended: there, Count: 1})
	return nil
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
