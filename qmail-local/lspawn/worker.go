package lspawn

import (
	"os"
	"sync"
	"time"

	"postrider/internal/fdpass"
	"postrider/internal/wire/localwork"
)

// worker is one qmail-local process as the state sees it. The process is
// being started while jobs already gather.
type worker struct {
	id      identity
	outbox  *outbox
	process *process
	jobs    map[uint64]*job // not answered yet
	used    time.Time       // when it last had a job
	stopped time.Time       // since when it has been found stopped
	ended   bool            // nothing more is given or believed
}

// parked tells whether each of w's jobs has a slot or waits for one.
func (w *worker) parked() bool {
	for _, j := range w.jobs {
		if j.slot == slotNone {
			return false
		}
	}
	return len(w.jobs) > 0
}

// parcel is one packet on its way to a worker: a job, or bytes.
type parcel struct {
	job    *localwork.Job // its message is owned
	packet []byte
}

func (p parcel) drop() {
	if p.job != nil {
		p.job.Message.Close()
	}
}

// outbox is what is to be sent to a worker, by a goroutine of its own: a
// stopped worker holds up nobody. It is bounded by the jobs given out.
type outbox struct {
	mu      sync.Mutex
	changed sync.Cond
	parcels []parcel
	closed  bool
}

func newOutbox() *outbox {
	o := &outbox{}
	o.changed.L = &o.mu
	return o
}

// put adds a parcel; after the end it is dropped.
func (o *outbox) put(p parcel) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		p.drop()
		return
	}
	o.parcels = append(o.parcels, p)
	o.changed.Signal()
}

// close drops what was not sent.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	for _, p := range o.parcels {
		p.drop()
	}
	o.parcels = nil
	o.changed.Signal()
}

func (o *outbox) isClosed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.closed
}

// next waits for parcels and takes as many as one packet holds; none mean the
// end.
func (o *outbox) next() []parcel {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.parcels) == 0 && !o.closed {
		o.changed.Wait()
	}
	n, size := 0, 0
	for n < len(o.parcels) && o.parcels[n].job != nil {
		s := localwork.JobSize(*o.parcels[n].job)
		if !localwork.JobsFit(n+1, size+s) {
			break
		}
		size += s
		n++
	}
	if n == 0 && len(o.parcels) > 0 {
		n = 1 // bytes
	}
	batch := o.parcels[:n:n]
	o.parcels = o.parcels[n:]
	return batch
}

// send sends what next took and closes the messages.
func send(link *fdpass.Packets, batch []parcel) error {
	if batch[0].job == nil {
		return link.Send(batch[0].packet)
	}
	jobs := make([]localwork.Job, len(batch))
	var files []*os.File
	for i, p := range batch {
		jobs[i] = *p.job
		if p.job.Message.ByFile {
			files = append(files, p.job.Message.File)
		}
	}
	defer fdpass.CloseAll(files)
	return link.Send(localwork.AppendJobs(nil, jobs), files...)
}

// closeFile closes a message, which we never wrote to.
func closeFile(f *os.File) {
	if f != nil {
		_ = f.Close()
	}
}
