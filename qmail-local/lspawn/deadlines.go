package lspawn

import (
	"time"

	"postrider/internal/wire/localwork"
)

const (
	// jobLimit is how long a worker may have a delivery that needs no slot,
	// or is yet to ask for one; slotLimit how long one with a slot: a little
	// more than the worker allows the programs of one. Who waits for a slot
	// waits, but for slotWait where that takes the places of others' mail.
	jobLimit  = 10 * time.Minute
	slotLimit = 70 * time.Minute
	slotWait  = time.Minute
	// stopLimit is how long a worker with deliveries may be stopped: its user
	// can do that, and what it has is then nobody's mail for as long.
	stopLimit = 10 * time.Second
	// waitLimit is how long a delivery waits for its user's share or a
	// worker, lookupLimit for the user's home directory to be looked at: it
	// holds a place that others' mail needs.
	waitLimit   = 5 * time.Second
	lookupLimit = time.Minute
	// homeTime is how long one look at a home directory may take before it
	// counts as one that does not come back.
	homeTime = 20 * time.Second
	// drainLimit is how long deliveries in hand may take at the end,
	// flushLimit how long their results.
	drainLimit = 10 * time.Second
	flushLimit = 2 * time.Second
)

// checkDeadlines ends what has lasted too long.
func (s *server) checkDeadlines() {
	now := s.clock.Now()
	for _, j := range s.jobs {
		if s.jobs[j.number] == nil {
			continue // ended with its worker
		}
		lasted := now.Sub(j.since)
		switch {
		case j.worker == nil && j.id == (identity{}):
			if lasted > lookupLimit {
				s.end(j, homeAway)
			}
		case j.worker == nil:
			if lasted > waitLimit {
				s.end(j, s.busy(j))
			}
		case j.slot == slotWanted:
			if lasted > slotWait && s.crowded() {
				s.refuse(j)
			}
		case j.slot == slotHeld && lasted > slotLimit, (j.slot == slotNone || j.slot == slotRefused) && lasted > jobLimit:
			s.warn("%s of uid %d does not answer: killed", workerName, j.id.uid)
			s.lose(j.worker, tooLong)
		}
	}
	for w := range s.pool.workers {
		s.checkStopped(w, now)
		if len(w.jobs) == 0 && now.Sub(w.used) >= idleLimit {
			s.dismiss(w)
		}
	}
}

// crowded tells whether so many deliveries are under way that those who wait
// for a slot are in the way of others.
func (s *server) crowded() bool {
	limit := max(s.slots.limit, minJobs)
	return len(s.jobs)-s.refused >= share(limit)
}

// refuse tells j's worker that there is no slot for it now. Its result comes.
func (s *server) refuse(j *job) {
	s.slots.release(j)
	j.slot, j.since = slotRefused, s.clock.Now()
	s.refused++
	j.worker.outbox.put(parcel{packet: localwork.AppendSlot(nil, localwork.KindRefused, j.number)})
}

// checkStopped kills a worker that is found stopped over stopLimit.
func (s *server) checkStopped(w *worker, now time.Time) {
	if w.ended || len(w.jobs) == 0 || w.process == nil || !w.process.stopped() {
		w.stopped = time.Time{}
		return
	}
	if w.stopped.IsZero() {
		w.stopped = now
	}
	if now.Sub(w.stopped) >= stopLimit {
		s.warn("%s of uid %d was stopped by somebody: killed", workerName, w.id.uid)
		s.lose(w, tooLong)
	}
}

// busy says for what j has waited too long.
func (s *server) busy(j *job) reply {
	if u := s.pool.users[j.id]; u != nil && len(u.workers) > 0 {
		return tooMany
	}
	return noWorker
}
