package lspawn

import "time"

const (
	maxWorkers     = 64 // at work or idle
	workersPerUser = 4
	// jobsPerWorker is how many jobs a worker gets before its user gets a
	// second one: deliveries of one worker share their syncs.
	jobsPerWorker = 64
	idleLimit     = 10 * time.Second
)

// pool chooses workers for jobs.
type pool struct {
	workers map[*worker]bool
	users   map[identity]*user
}

// user is what the pool knows of one identity. It is forgotten with its last
// worker and job.
type user struct {
	id      identity
	workers []*worker
	running int    // jobs in workers
	waiting []*job // not yet in a worker
}

func newPool() *pool {
	return &pool{workers: make(map[*worker]bool), users: make(map[identity]*user)}
}

func (p *pool) user(id identity) *user {
	u := p.users[id]
	if u == nil {
		u = &user{id: id}
		p.users[id] = u
	}
	return u
}

// least returns u's worker with the fewest jobs, or nil.
func (u *user) least() *worker {
	var least *worker
	for _, w := range u.workers {
		if least == nil || len(w.jobs) < len(least.jobs) {
			least = w
		}
	}
	return least
}

// wantsAnother tells whether u should have one more worker.
func (u *user) wantsAnother() bool {
	least := u.least()
	return least == nil || len(least.jobs) >= jobsPerWorker && len(u.workers) < workersPerUser
}

// add enters a new worker.
func (p *pool) add(w *worker) {
	p.workers[w] = true
	u := p.user(w.id)
	u.workers = append(u.workers, w)
}

// remove forgets a worker, and its user with the last one.
func (p *pool) remove(w *worker) {
	if !p.workers[w] {
		return
	}
	delete(p.workers, w)
	u := p.users[w.id]
	for i, other := range u.workers {
		if other == w {
			u.workers = append(u.workers[:i], u.workers[i+1:]...)
			break
		}
	}
	p.forget(u)
}

// forget drops a user of whom nothing is left.
func (p *pool) forget(u *user) {
	if len(u.workers) == 0 && u.running == 0 && len(u.waiting) == 0 {
		delete(p.users, u.id)
	}
}

// full tells whether there can be no further worker. Those whose deliveries
// all run programs or wait for their slots do nothing themselves: they must
// not keep the mail of users waiting who need no slot. There can be as many of
// them as deliveries in flight.
func (p *pool) full(inFlight int) bool {
	parked := 0
	for w := range p.workers {
		if w.parked() {
			parked++
		}
	}
	return len(p.workers)-min(parked, inFlight) >= maxWorkers
}

// idlest returns the worker without jobs that was used longest ago, or nil.
func (p *pool) idlest() *worker {
	var idlest *worker
	for w := range p.workers {
		if len(w.jobs) == 0 && (idlest == nil || w.used.Before(idlest.used)) {
			idlest = w
		}
	}
	return idlest
}
