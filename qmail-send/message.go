package qmailsend

import (
	"container/heap"

	"postrider/internal/queuedir"
	"postrider/qmail-send/fair"
)

// message is all that is kept of a queued message that is not being worked on:
// under 300 bytes with its places in map and queues, nothing per recipient.
type message struct {
	id    queuedir.ID
	flags flags
	// attempts is how many passes were started, by all runs.
	attempts uint16
	// recipients is set once the envelope was read.
	recipients int32
	losses     uint8     // passes one after another whose delivery agent went away
	heard      uint8     // of how many delays its sender has heard
	lane       uint32    // where it goes; 0: not known; and
	flow       fair.Flow // whose it is: see fair
	uid        uint32    // who has handed it in, if that is known
	birth      moment
	due        [queues]moment // never: nothing to do there, or in hand
	place      [queues]int32  // where it stands in the queue, or nowhere
	weight     uint16         // of flow
	active     *active        // while it is in hand
}

type flags uint32

const (
	logged      flags = 1 << iota // "new msg" was logged, now or in an earlier run
	uncertain                     // found by a scan: the spool must say that it is committed
	justWritten                   // the spool announced it: what it wrote is still in memory
	hasInfo                       // there is a progress file
	attempted                     // a pass was started, now or in an earlier run
	restored                      // the due times are those of a progress file
	stale                         // the due time on disk is not that in memory
	loading                       // a loader reads it, or the spool was asked about it
	removing                      // the spool was asked to remove it
	keeping                       // that it is done is being written down
	quarantined                   // the spool was asked to set it aside
	torn                          // why it is set aside: its end is missing
	forgotten                     // no longer in the table; queues drop it
	ownerKnown                    // uid is set
	held                          // nothing is tried until it is released
	interrupted                   // orders wait until nobody has it in hand
	several                       // it goes to more than one destination
	parked                        // it is due, and waits for its destination
	urgent                        // somebody wants it tried now, whatever is known
	senderless                    // a bounce
	inBulk                        // of a list, or sent in bulk
	hasAsked                      // whether its destination is back, which was not so
	triedBefore                   // by an earlier run: how often follows from its age
	unsynced                      // its progress file may have what is not durable: of an order that failed, or of an earlier run
)

func (m *message) is(f flags) bool { return m.flags&f != 0 }

// A message waits in up to three queues: one for each channel, and settling
// for what is left to do apart from deliveries: a bounce, a removal.
const (
	settling queueID = queueID(channels)
	queues           = int(channels) + 1
)

type queueID int

// Values of message.place other than an index in the heap of dues.
const (
	nowhere = -1
	inLine  = -2 // in the line of first attempts
)

func newMessage(id queuedir.ID, birth moment, f flags) *message {
	m := &message{id: id, birth: birth, flags: f}
	for q := range m.due {
		m.due[q], m.place[q] = never, nowhere
	}
	return m
}

// waitQueue holds the messages that wait for one channel, or for settling:
// first attempts in the order they came, others by due time.
type waitQueue struct {
	id   queueID
	line fair.Queue[*message] // first attempts; those that left are still here, unmarked
	dues []*message           // a heap
}

// put lets m wait until it is due, m.due having been set.
func (q *waitQueue) put(m *message) {
	switch {
	case m.place[q.id] >= 0:
		heap.Fix((*dueHeap)(q), int(m.place[q.id]))
	case m.place[q.id] == nowhere:
		heap.Push((*dueHeap)(q), m)
	}
}

// enqueue puts m behind the first attempts of its sender.
func (q *waitQueue) enqueue(m *message) {
	if m.place[q.id] != nowhere {
		return
	}
	m.place[q.id] = inLine
	q.line.Push(m, m.flow, m.weight, m.lane)
}

// drop takes m out.
func (q *waitQueue) drop(m *message) {
	if m.place[q.id] >= 0 {
		heap.Remove((*dueHeap)(q), int(m.place[q.id]))
	}
	m.place[q.id] = nowhere // in line: its entry is passed over
}

// nextFirst takes the first attempt whose turn it is among the senders that may
// have one; nil if there is none.
func (q *waitQueue) nextFirst(may func(fair.Flow) bool) *message {
	for {
		m, ok := q.line.Pop(may)
		if !ok {
			return nil
		}
		if m.place[q.id] == inLine {
			m.place[q.id] = nowhere
			return m
		}
	}
}

// nextDue takes the message that has been due longest, nil if none is due.
func (q *waitQueue) nextDue(now moment) *message {
	if q.wake() > now {
		return nil
	}
	m := q.dues[0]
	q.drop(m)
	return m
}

// wake returns when the next message of the heap is due.
func (q *waitQueue) wake() moment {
	if len(q.dues) == 0 {
		return never
	}
	return q.dues[0].due[q.id]
}

// allDue makes every message due at now; it returns those that were not.
func (q *waitQueue) allDue(now moment) {
	for _, m := range q.dues {
		if m.due[q.id] > now {
			m.due[q.id] = now
			m.flags |= stale
		}
	}
	heap.Init((*dueHeap)(q))
}

// dueHeap is a waitQueue as container/heap sees it.
type dueHeap waitQueue

func (h *dueHeap) Len() int { return len(h.dues) }
func (h *dueHeap) Less(i, j int) bool {
	a, b := h.dues[i], h.dues[j]
	if a.due[h.id] != b.due[h.id] {
		return a.due[h.id] < b.due[h.id]
	}
	return a.birth < b.birth
}
func (h *dueHeap) Swap(i, j int) {
	h.dues[i], h.dues[j] = h.dues[j], h.dues[i]
	h.dues[i].place[h.id], h.dues[j].place[h.id] = int32(i), int32(j)
}
func (h *dueHeap) Push(x any) {
	m := x.(*message)
	m.place[h.id] = int32(len(h.dues))
	h.dues = append(h.dues, m)
}
func (h *dueHeap) Pop() any {
	last := len(h.dues) - 1
	m := h.dues[last]
	h.dues[last] = nil
	h.dues = h.dues[:last]
	m.place[h.id] = nowhere
	return m
}
