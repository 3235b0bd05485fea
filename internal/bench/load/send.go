package load

import (
	"errors"
	"io"
	"sync"
	"time"
)

// send sends o.Messages, one a connection, o.Sessions at a time. Message i goes
// to the o.Each recipients that follow those of message i-1, round and round.
// It ends with the last acceptance.
func send(o Order, _ io.Reader, say func(Answer)) error {
	each := max(1, o.Each)
	if len(o.Recipients) == 0 || o.Sessions < 1 {
		return errors.New("nobody to send to")
	}
	var (
		mu   sync.Mutex
		next int
		a    = Answer{Began: time.Now()}
		work sync.WaitGroup
	)
	take := func() (recipients []string, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		if next == o.Messages {
			return nil, false
		}
		for i := range each {
			recipients = append(recipients, o.Recipients[(next*each+i)%len(o.Recipients)])
		}
		next++
		return recipients, true
	}
	note := func(accepted time.Time, err error) {
		mu.Lock()
		defer mu.Unlock()
		if !accepted.IsZero() {
			a.Count++
			a.Ended = later(a.Ended, accepted)
		} else if a.Failed++; a.Error == "" {
			a.Error = err.Error()
		}
	}
	data := text(o.Size, o.Recipients[0])
	for range o.Sessions {
		work.Go(func() {
			for {
				recipients, ok := take()
				if !ok {
					return
				}
				note(o.one(recipients, data))
			}
		})
	}
	work.Wait()
	say(a)
	return nil
}

// one sends one message, with o.Again until it is not refused for now.
func (o Order) one(recipients []string, data []byte) (accepted time.Time, err error) {
	for start := time.Now(); ; time.Sleep(againAfter) {
		accepted, err = one(o.Server, recipients, data)
		var refused *refusal
		if !o.Again || !errors.As(err, &refused) || refused.reply[0] != '4' || time.Since(start) > patience {
			return accepted, err
		}
	}
}

// againAfter is much shorter than any mail system waits: it asks for the most
// that the server takes.
const againAfter = 10 * time.Millisecond

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
