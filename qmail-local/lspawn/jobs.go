package lspawn

import (
	"time"

	"postrider/internal/wire/localwork"
	"postrider/internal/wire/spawn"
)

type slotState int

const (
	slotNone slotState = iota
	slotWanted
	slotHeld
	slotRefused // the delivery is to end
)

// job is one delivery on its way.
type job struct {
	number   uint64        // ours: what the worker knows it by
	link     *link         // where the result goes
	delivery uint64        // qmail-send's number
	work     localwork.Job // its message was taken when a worker has the job
	id       identity
	worker   *worker // nil before one has it
	slot     slotState
	// since is when the present state began: the lookup, the wait for a
	// worker, the work, the wait for a slot, or the slot.
	since time.Time
}

// take begins the jobs of one packet.
func (s *server) take(l *link, limit int, jobs []spawn.Job) {
	s.slots.limit = limit
	for _, j := range jobs {
		// The protocol's local job has one recipient.
		recipient := j.Recipients[0]
		for _, other := range j.Recipients[1:] {
			l.add(unusable.result(other.Delivery))
		}
		s.numbers++
		job := &job{number: s.numbers, link: l, delivery: recipient.Delivery, since: s.clock.Now()}
		job.work.Message, job.work.RequireTLS = j.Message, j.Facts.RequireTLS
		s.waiting += len(j.Message.Bytes)
		if s.draining || len(s.jobs) >= maxJobs || s.waiting > maxWaiting {
			s.end(job, stopping)
			continue
		}
		s.jobs[job.number] = job
		if id, work, end, known := s.directory.assigned(j.Sender, recipient.Address); known {
			s.found(job, id, work, end)
			continue
		}
		go func() {
			id, work, end := s.directory.find(j.Sender, recipient.Address)
			s.post(func() { s.found(job, id, work, end) })
		}()
	}
	s.grant()
}

// found goes on with a job whose user is known, or that ends here.
func (s *server) found(j *job, id identity, work localwork.Job, end *reply) {
	if s.jobs[j.number] == nil {
		return // answered meanwhile
	}
	if end != nil {
		s.end(j, *end)
		return
	}
	work.Delivery, work.Message, work.RequireTLS = j.number, j.work.Message, j.work.RequireTLS
	j.id, j.work, j.since = id, work, s.clock.Now()
	u := s.pool.user(id)
	u.waiting = append(u.waiting, j)
	s.feed(u)
}

// feed gives waiting jobs of u to workers, as far as its share goes.
func (s *server) feed(u *user) {
	for len(u.waiting) > 0 && u.running < share(max(s.slots.limit, minJobs)) {
		w := s.workerFor(u)
		if w == nil {
			break
		}
		j := u.waiting[0]
		u.waiting = u.waiting[1:]
		u.running++
		j.worker, j.since = w, s.clock.Now()
		w.jobs[j.number] = j
		w.used = j.since
		work := j.work
		s.waiting -= len(j.work.Message.Bytes)
		j.work.Message = spawn.Message{}
		w.outbox.put(parcel{job: &work})
	}
	s.pool.forget(u)
}

// workerFor returns a worker for u's next job, or nil if it has to wait.
func (s *server) workerFor(u *user) *worker {
	if u.wantsAnother() {
		if len(s.pool.workers) >= maxWorkers {
			if idle := s.pool.idlest(); idle != nil {
				s.dismiss(idle)
			}
		}
		if !s.pool.full(max(s.slots.limit, minJobs)) {
			return s.hire(u.id)
		}
	}
	return u.least()
}

// feedAll looks for users whose jobs wait: a worker ended or became idle.
func (s *server) feedAll() {
	for _, u := range s.pool.users {
		if len(u.waiting) > 0 {
			s.feed(u)
		}
	}
}

// end answers a job and forgets it.
func (s *server) end(j *job, r reply) {
	delete(s.jobs, j.number)
	s.waiting -= len(j.work.Message.Bytes)
	j.work.Message.Close()
	j.work.Message = spawn.Message{}
	if j.slot == slotRefused {
		s.refused--
	}
	s.slots.release(j)
	if j.link.open {
		j.link.add(r.result(j.delivery))
	}
	w := j.worker
	if w == nil {
		s.withdraw(j)
		return
	}
	delete(w.jobs, j.number)
	w.used = s.clock.Now()
	u := s.pool.user(w.id)
	u.running--
	s.feed(u)
}

// withdraw takes a job that has no worker out of its user's queue.
func (s *server) withdraw(j *job) {
	u := s.pool.users[j.id]
	if u == nil {
		return
	}
	for i, other := range u.waiting {
		if other == j {
			u.waiting = append(u.waiting[:i], u.waiting[i+1:]...)
			break
		}
	}
	s.pool.forget(u)
}

// grant tells workers of slots that have become free.
func (s *server) grant() {
	for _, j := range s.slots.grant() {
		j.since = s.clock.Now()
		j.worker.outbox.put(parcel{packet: localwork.AppendSlot(nil, localwork.KindGranted, j.number)})
	}
}
