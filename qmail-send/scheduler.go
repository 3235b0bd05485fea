package qmailsend

import (
	"fmt"
	"time"

	"postrider/internal/clock"
	"postrider/internal/control"
	"postrider/internal/figures"
	"postrider/internal/logline"
	"postrider/internal/queuedir"
	"postrider/qmail-send/bounce"
	"postrider/qmail-send/links"
	"postrider/qmail-send/mailbox"
	"postrider/qmail-send/progress"
	"postrider/qmail-send/timeline"
)

// eventBacklog is how many events may wait for the scheduler before those who
// post them wait.
const eventBacklog = 256

// scheduler owns all state. Its fields are touched only by the goroutine that
// is in run; everybody else posts events, functions that run there.
type scheduler struct {
	clock    clock.Clock
	log      *logline.Writer
	layout   queuedir.Layout
	control  control.Dir
	settings settings
	line     timeline.Line

	events  chan func()
	stopped chan struct{} // closed when run has returned

	messages map[queuedir.ID]*message
	waiting  [queues]waitQueue
	ways     [channels]*way
	counts   figures.Counts
	census   census
	loads    int // settling loads under way
	removals int // removals that the spool has not confirmed
	actives  map[*active]struct{}
	flushes  []*active // with results to write within flushDelay, oldest first
	stuck    []*active // whose results could not be written, oldest first

	destinations *destinationTable
	stalls       []stallOf // waits of passes in hand, oldest first
	standings    standingLog
	again        bool // do has more to do at once

	deliveries   map[uint64]*delivery
	lastDelivery uint64

	spool   *links.Spool // nil while qmail-spool is away
	asked   map[queuedir.ID]loadTicket
	agents  links.Agents
	submits *bounce.Submitter
	scan    scanState
	orders  orders
	// suspects are messages whose delivery agents went away, more than once in a row.
	suspects map[*message]struct{}

	readers   *mailbox.Box[func()] // work that waits for the disk: reading
	recorders *mailbox.Box[func()] // and writing progress
	editors   *mailbox.Box[func()] // and what operators want
	notices   *mailbox.Box[func()] // bounces
	store     store
	atWork    int // functions in recorders, editors and notices that have not posted yet

	exiting  bool
	exitBy   moment // never: no limit
	exitDone bool
}

const (
	readerCount   = 4
	recorderCount = 8
	noticeCount   = bounce.AtOnce
)

// newScheduler returns a scheduler of the queue on disk that waits for its links.
func newScheduler(c clock.Clock, log *logline.Writer, layout queuedir.Layout, dir control.Dir, set settings) (*scheduler, error) {
	rec, err := progress.OpenRecorder(layout)
	if err != nil {
		return nil, err
	}
	submits := &bounce.Submitter{}
	s := schedulerOf(c, log, disk{layout, rec, submits}, set)
	s.layout, s.control, s.submits = layout, dir, submits
	return s, nil
}

// schedulerOf returns a scheduler of what st holds.
func schedulerOf(c clock.Clock, log *logline.Writer, st store, set settings) *scheduler {
	s := &scheduler{
		clock: c, log: log, settings: set, store: st,
		line:       timeline.New(c.Now()),
		events:     make(chan func(), eventBacklog),
		stopped:    make(chan struct{}),
		messages:   make(map[queuedir.ID]*message),
		actives:    make(map[*active]struct{}),
		deliveries: make(map[uint64]*delivery),
		asked:      make(map[queuedir.ID]loadTicket),
		orders:     newOrders(),
		suspects:   make(map[*message]struct{}),
		readers:    mailbox.New[func()](),
		recorders:  mailbox.New[func()](),
		editors:    mailbox.New[func()](),
		notices:    mailbox.New[func()](),
		exitBy:     never,
	}
	for q := range s.waiting {
		s.waiting[q].id = queueID(q)
	}
	s.ways[local] = newWay(local, set.concurrency[local])
	s.ways[remote] = newWay(remote, set.concurrency[remote])
	s.destinations = newDestinationTable(set.destinations, s.ways[remote].limit)
	s.destinations.released = s.releaseWaiting
	s.standings = standingLog{room: maxStandings, at: s.now()}
	return s
}

// post gives the scheduler an event. It waits while the scheduler is busy, and
// gives up when it has ended.
func (s *scheduler) post(event func()) {
	select {
	case s.events <- event:
	case <-s.stopped:
	}
}

func (s *scheduler) now() moment { return s.line.At(s.clock.Now()) }

// run schedules until it was told to exit and everything is in order.
func (s *scheduler) run() {
	defer close(s.stopped)
	s.startWorkers()
	defer s.stopWorkers()
	defer s.census.stop()
	s.status()
	for {
		now := s.now()
		s.do(now)
		if s.exitDone {
			s.log.Line("status: exiting")
			return
		}
		wake, stop := s.timer(s.next(), now)
		select {
		case event := <-s.events:
			event()
			s.drainEvents()
		case <-wake:
		}
		stop()
	}
}

// drainEvents takes what else has happened, so that one turn serves all of it.
func (s *scheduler) drainEvents() {
	for range eventBacklog {
		select {
		case event := <-s.events:
			event()
		default:
			return
		}
	}
}

func (s *scheduler) timer(at, now moment) (<-chan time.Time, func()) {
	if at == never {
		return nil, func() {}
	}
	return s.clock.At(s.clock.Now().Add(time.Duration(at - now)))
}

// next returns when do has something to do if nothing happens before.
func (s *scheduler) next() moment {
	at := min(s.exitBy, s.rescanAt())
	if s.again || s.census.underWay() {
		return s.now()
	}
	if len(s.stalls) > 0 {
		at = min(at, s.stalls[0].end)
	}
	if len(s.flushes) > 0 {
		at = min(at, s.flushes[0].flushAt)
	}
	if len(s.stuck) > 0 {
		at = min(at, s.stuck[0].stuckUntil)
	}
	if s.mayStart() {
		at = min(at, s.destinations.next())
		for _, w := range s.ways {
			if s.serving(w) && w.hasRoom(retries) {
				at = min(at, s.waiting[w.id].wake())
			}
		}
		if s.loads < maxSettling {
			at = min(at, s.waiting[settling].wake())
		}
	}
	return at
}

// do does what is due.
func (s *scheduler) do(now moment) {
	s.flushDue(now)
	s.again = false
	s.endStalls(now)
	s.destinations.wakeDue(now)
	for _, w := range s.ways {
		s.giveOut(w)
		s.topUp(w, now)
	}
	s.settleDue(now)
	s.rescan(now)
	s.countSome(now)
	if s.exiting {
		s.tryExit(now)
	}
}

// mayStart reports whether new work may begin.
func (s *scheduler) mayStart() bool {
	return !s.exiting && s.spool != nil && len(s.stuck) < maxStuck
}

func (s *scheduler) startWorkers() {
	work := func(box *mailbox.Box[func()]) {
		for {
			f, ok := box.Take()
			if !ok {
				return
			}
			f()
		}
	}
	for range readerCount {
		go work(s.readers)
	}
	for range recorderCount {
		go work(s.recorders)
	}
	for range editorCount {
		go work(s.editors)
	}
	for range noticeCount {
		go work(s.notices)
	}
}

func (s *scheduler) stopWorkers() {
	s.readers.Discard()
	s.recorders.Discard()
	s.editors.Discard()
	s.notices.Discard()
	s.submits.Close()
	s.agents.CloseAll()
	if s.spool != nil {
		s.spool.Close()
	}
}

// status logs qmail's status line, which follows every start and finish of a
// delivery (spec 2.8).
func (s *scheduler) status() {
	line := fmt.Sprintf("status: local %d/%d remote %d/%d",
		s.ways[local].inFlight, s.ways[local].concurrency, s.ways[remote].inFlight, s.ways[remote].concurrency)
	if s.exiting {
		line += " exitasap"
	}
	s.log.Status(line)
}

func (s *scheduler) logf(format string, args ...any) { s.log.Line(fmt.Sprintf(format, args...)) }

// trouble logs why something failed, on a line of its own, and qmail's line.
func (s *scheduler) trouble(err error, format string, args ...any) {
	s.logf("warning: %v", err)
	s.logf(format, args...)
}

// forget drops a message that is no longer in the queue.
func (s *scheduler) forget(m *message) {
	for q := range s.waiting {
		s.waiting[q].drop(m)
	}
	m.flags |= forgotten
	delete(s.messages, m.id)
	s.wasForgotten(m)
	s.scan.finished(m.id)
}
