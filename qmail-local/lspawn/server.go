package lspawn

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"postrider/internal/clock"
	"postrider/internal/figures"
	"postrider/internal/logline"
	"postrider/internal/wire/localwork"
	"postrider/internal/wire/spawn"
)

const (
	// minJobs is how many deliveries are in flight at least (Maildirs need no
	// slot), maxJobs at most.
	minJobs = 200
	maxJobs = 4096
	// maxWaiting is how many bytes of messages may wait for a worker: larger
	// messages are files.
	maxWaiting = 8 << 20
	// events may gather while the loop is busy; who posts more waits.
	events = 256
)

// server is the state of qmail-lspawn. All but post is called by run only.
type server struct {
	clock     clock.Clock
	log       *logline.Writer
	directory *directory
	launcher  *launcher
	setup     []byte // the first packet of each worker

	events   chan func()
	done     chan struct{} // closed when run returns
	link     *link         // the present one, or nil
	jobs     map[uint64]*job
	numbers  uint64
	waiting  int // bytes of the messages of jobs that no worker has
	pool     *pool
	counts   figures.Counts
	slots    slots
	refused  int // jobs whose slot was refused and whose result is yet to come
	draining bool
	drained  time.Time // when draining ends at the latest
}

func newServer(c clock.Clock, log *logline.Writer, d *directory, l *launcher) *server {
	return &server{
		clock: c, log: log, directory: d, launcher: l,
		events: make(chan func(), events), done: make(chan struct{}),
		jobs: make(map[uint64]*job), pool: newPool(),
		slots: slots{byUser: make(map[identity]int)},
	}
}

// post hands an event to the loop; after its end nothing matters any more.
func (s *server) post(event func()) {
	select {
	case s.events <- event:
	case <-s.done:
	}
}

// run is the event loop. It returns after drain.
func (s *server) run() {
	defer close(s.done)
	var tick <-chan time.Time
	stop := func() {}
	for !s.draining || s.link != nil && len(s.jobs) > 0 && s.clock.Now().Before(s.drained) {
		if tick == nil && (len(s.jobs) > 0 || len(s.pool.workers) > 0) {
			tick, stop = s.clock.At(s.clock.Now().Add(time.Second))
		}
		select {
		case event := <-s.events:
			event()
		case <-tick:
			tick = nil
			s.checkDeadlines()
		}
	}
	stop()
	for w := range s.pool.workers {
		s.dismiss(w)
	}
	if s.link != nil {
		s.link.flush(time.Now().Add(flushLimit))
	}
}

// drain makes run return when everything in hand is done, when nobody is left
// who wants to know, or when drainLimit is over.
func (s *server) drain() {
	s.draining, s.drained = true, s.clock.Now().Add(drainLimit)
}

// replace makes f the link to qmail-send.
func (s *server) replace(f *os.File) {
	s.unlink(s.link)
	l, err := newLink(f)
	if err != nil {
		closeFile(f)
		s.warn("link to qmail-send: %v", err)
		return
	}
	s.link = l
	go l.send()
	go func() {
		err := l.receive(func(slots int, jobs []spawn.Job) {
			s.post(func() { s.take(l, slots, jobs) })
		})
		s.post(func() {
			if err != nil {
				s.warn("link to qmail-send: %v", err)
			}
			s.unlink(l)
		})
	}()
}

// unlink gives up a link: qmail-send counts its jobs as deferred. Those that
// no worker has are dropped, the others are finished and not reported.
func (s *server) unlink(l *link) {
	if l == nil || !l.open {
		return
	}
	l.open = false
	l.finish()
	_ = l.packets.Close() // nothing is left to be said on it
	for _, j := range s.jobs {
		if j.link == l && j.worker == nil {
			s.end(j, stopping)
		}
	}
	if s.link == l {
		s.link = nil
	}
}

// hire starts a worker.
func (s *server) hire(id identity) *worker {
	w := &worker{id: id, outbox: newOutbox(), jobs: make(map[uint64]*job), used: s.clock.Now()}
	w.outbox.put(parcel{packet: s.setup})
	s.pool.add(w)
	s.countWorkers()
	go s.employ(w)
	return w
}

// employ runs a worker's process from start to end.
func (s *server) employ(w *worker) {
	p, err := s.launcher.start(w.id)
	if err != nil {
		s.post(func() {
			s.warn("unable to run %s as uid %d: %v", workerName, w.id.uid, err)
			s.lose(w, notStarted)
		})
		return
	}
	s.post(func() {
		if w.process = p; w.ended {
			p.kill()
		}
	})
	var receiving sync.WaitGroup
	receiving.Go(func() {
		p.receive(func(packet []byte) { s.post(func() { s.said(w, packet) }) })
		if !w.outbox.isClosed() {
			p.kill() // whatever it does, it can no longer tell
		}
	})
	go p.supply(w.outbox)
	err = p.wait(w.outbox.isClosed)
	receiving.Wait() // what it said before its end counts
	s.post(func() {
		if err != nil && !w.ended {
			s.warn("%s of uid %d: %v", workerName, w.id.uid, err)
		}
		s.lose(w, crashed)
	})
}

// said handles what a worker says. All of it is hostile.
func (s *server) said(w *worker, packet []byte) {
	if w.ended {
		return
	}
	if err := s.believe(w, packet); err != nil {
		s.warn("%s of uid %d: %v", workerName, w.id.uid, err)
		s.lose(w, crashed)
	}
}

func (s *server) believe(w *worker, packet []byte) error {
	switch localwork.KindOf(packet) {
	case localwork.KindWanted:
		return s.wanted(w, packet)
	case localwork.KindResults:
		return s.results(w, packet)
	}
	return fmt.Errorf("unknown packet %q", byte(localwork.KindOf(packet)))
}

var errNotGiven = errors.New("speaks of a delivery that it does not have")

func (s *server) wanted(w *worker, packet []byte) error {
	number, err := localwork.DecodeSlot(packet, localwork.KindWanted)
	if err != nil {
		return err
	}
	j := w.jobs[number]
	if j == nil || j.slot != slotNone {
		return errNotGiven
	}
	s.slots.want(j)
	j.since = s.clock.Now()
	s.grant()
	if w.parked() {
		s.feedAll()
	}
	return nil
}

func (s *server) results(w *worker, packet []byte) error {
	results, err := localwork.DecodeResults(packet)
	if err != nil {
		return err
	}
	for _, r := range results {
		j := w.jobs[r.Delivery]
		if j == nil {
			return errNotGiven
		}
		s.end(j, fromWorker(r))
	}
	s.grant()
	if len(w.jobs) == 0 {
		s.feedAll()
	}
	return nil
}

// lose ends a worker that is dead or must be; its jobs get the reply.
func (s *server) lose(w *worker, r reply) {
	if w.ended {
		return
	}
	w.ended = true
	w.outbox.close()
	if w.process != nil {
		w.process.kill()
	}
	s.pool.remove(w)
	s.countWorkers()
	for _, j := range w.jobs {
		s.end(j, r)
	}
	s.grant()
	s.feedAll()
}

// dismiss lets a worker finish and exit. It has no jobs, or we are at the end.
func (s *server) dismiss(w *worker) {
	w.ended = true
	w.outbox.close()
	s.pool.remove(w)
	s.countWorkers()
}

// localWorkers is the place of qmail-local.
var localWorkers = slices.Index(figures.Programs, workerName)

// countWorkers notes how many workers there are.
func (s *server) countWorkers() {
	s.counts.Set(figures.Workers, localWorkers, int64(len(s.pool.workers)))
}

func (s *server) warn(format string, args ...any) {
	s.log.Line("qmail-lspawn: warning: " + fmt.Sprintf(format, args...))
}
