package qmaillocal

import (
	"sync"

	"postrider/internal/fdpass"
	"postrider/internal/wire/localwork"
	"postrider/internal/wire/spawn"
)

// resultQueue sends results, all that have gathered while the last packet was
// sent in one.
type resultQueue struct {
	link *fdpass.Packets
	done chan struct{}

	mu      sync.Mutex
	changed sync.Cond
	pending []spawn.Result
	closed  bool
}

func newResultQueue(link *fdpass.Packets) *resultQueue {
	q := &resultQueue{link: link, done: make(chan struct{})}
	q.changed.L = &q.mu
	go q.run()
	return q
}

func (q *resultQueue) add(r spawn.Result) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pending = append(q.pending, r)
	q.changed.Signal()
}

// close returns when everything was sent, or cannot be.
func (q *resultQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.changed.Signal()
	q.mu.Unlock()
	<-q.done
}

func (q *resultQueue) run() {
	defer close(q.done)
	var packet []byte
	for {
		batch := q.next()
		if len(batch) == 0 {
			return
		}
		packet = localwork.AppendResults(packet[:0], batch)
		// A failure means that qmail-lspawn is gone and counts these
		// deliveries as deferred, or must: it sees the end, as our receiver does.
		if q.link.Send(packet) != nil {
			_ = q.link.Close() // nothing more can be told on it
			return
		}
	}
}

// next waits for results and takes as many as fit into a packet; none mean
// that there will be no more.
func (q *resultQueue) next() []spawn.Result {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.pending) == 0 && !q.closed {
		q.changed.Wait()
	}
	n, size := 0, 0
	for n < len(q.pending) && spawn.ResultsFit(n+1, size+spawn.ResultSize(q.pending[n])) {
		size += spawn.ResultSize(q.pending[n])
		n++
	}
	batch := q.pending[:n:n]
	q.pending = q.pending[n:]
	return batch
}
