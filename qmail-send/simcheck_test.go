package qmailsend

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// cheap checks what must hold after every step and costs little to check.
func (m *simulation) cheap() {
	s := m.s
	flying := 0
	for _, w := range s.ways {
		flying += w.inFlight
		var under int32
		for f, n := range w.under {
			if under += n; n <= 0 {
				m.t.Errorf("%d deliveries of sender %x", n, f)
			}
		}
		if w.inFlight < 0 || w.inFlight > w.limit || int(under) != w.inFlight || w.busy[firsts]+w.busy[retries] != w.inFlight {
			m.t.Errorf("%s: %d of %d in flight, %d first, %d retries, %d by sender",
				w.id, w.inFlight, w.limit, w.busy[firsts], w.busy[retries], under)
		}
		if w.busy[retries] > w.retryLimit() {
			m.t.Errorf("%s: %d retries hold slots, at most %d may", w.id, w.busy[retries], w.retryLimit())
		}
		for k := range classes {
			if open := w.open(k); open < 0 || open > maxOpen {
				m.t.Errorf("%s: %d passes of class %d are open", w.id, open, k)
			}
		}
	}
	if flying != len(s.deliveries) {
		m.t.Errorf("%d slots are held by %d deliveries", flying, len(s.deliveries))
	}
}

// thorough looks at every message: none is forgotten.
func (m *simulation) thorough() {
	m.cheap()
	s := m.s
	if len(s.messages) < len(m.queue) {
		m.t.Errorf("%d messages are queued, %d are known", len(m.queue), len(s.messages))
	}
	var standing [queues]int
	for _, w := range s.messages {
		for q, at := range w.place {
			if at == inLine {
				standing[q]++
			}
		}
	}
	for q, n := range standing {
		if held := s.waiting[q].line.Len(); held < n {
			m.t.Errorf("%d messages are said to be in line %d, which holds %d", n, q, held)
		}
	}
	for id, x := range m.queue {
		w := s.messages[id]
		if w == nil {
			m.t.Errorf("%s is queued, and forgotten", id)
			continue
		}
		if w.is(held) && x.operator.mayBeHeld {
			continue // it waits for somebody
		}
		if err := s.whereIs(w, true); err != nil {
			m.t.Errorf("%s: %v", id, err)
		}
	}
	for _, w := range s.ways {
		if s.mayStart() && w.inFlight+w.spared() < w.limit && w.ready[firsts].Len() > 0 {
			m.t.Errorf("%s: %d of %d slots are held, and %d first attempts wait for one",
				w.id, w.inFlight, w.limit, w.ready[firsts].Len())
		}
	}
}

// whereIs returns an error for a message that nothing would ever happen to, that
// is due for a channel and does not wait for it, or which stands in a line when
// none may.
func (s *scheduler) whereIs(w *message, mayStand bool) error {
	if w.is(removing|quarantined|loading) || w.active != nil {
		return nil
	}
	waits := false
	for q := range s.waiting {
		switch at := w.place[q]; {
		case at == inLine && !mayStand:
			return fmt.Errorf("it is said to be in line %d and is not", q)
		case at >= 0 && s.waiting[q].dues[at] != w:
			return fmt.Errorf("it is said to be at %d of queue %d and is not", at, q)
		case at == nowhere && w.due[q] != never:
			return fmt.Errorf("it is due for %d at %d, and does not wait for it: due %v, places %v, flags %x", q, w.due[q], w.due, w.place, w.flags)
		case at != nowhere && w.due[q] != never:
			waits = true
		}
	}
	if !waits {
		return fmt.Errorf("it waits for nothing: due %v, places %v, flags %x", w.due, w.place, w.flags)
	}
	return nil
}

// wantedRetry is when a message is tried again, worked out once more: from the
// words of the specification, with other arithmetic.
func wantedRetry(born, began time.Time, c channelID, steps []time.Duration) time.Time {
	age := began.Sub(born)
	if steps == nil {
		root := int64(math.Floor(math.Sqrt(math.Floor(max(0, age.Seconds())))))
		root += map[channelID]int64{local: 10, remote: 20}[c]
		return born.Add(time.Duration(root*root) * time.Second)
	}
	at := born
	for i := 0; ; i++ {
		at = at.Add(steps[min(i, len(steps)-1)])
		if at.Sub(born) > age {
			return at
		}
	}
}

// rank returns the duration that a share of the list does not exceed.
func rank(list []time.Duration, share float64) time.Duration {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(list))
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}
