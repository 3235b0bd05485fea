package lspawn

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"postrider/internal/fdpass"
	"postrider/internal/wire/spawn"
)

// maxUnread is how many results may wait for qmail-send to read them: no more
// jobs are taken from one that does not.
const maxUnread = maxJobs

// textNoMessage is qmail's word for a message that could not be opened.
const textNoMessage = "qmail-spawn unable to open message. (#4.3.0)\n"

// link is one connection with qmail-send.
type link struct {
	packets *fdpass.Packets
	open    bool          // seen from the state
	sent    chan struct{} // closed when send has ended

	mu      sync.Mutex
	changed sync.Cond // there are results, or closed
	room    sync.Cond // there are fewer results, or closed
	results []spawn.Result
	closed  bool
}

func newLink(f *os.File) (*link, error) {
	packets, err := fdpass.NewPackets(f)
	if err != nil {
		return nil, err
	}
	l := &link{packets: packets, open: true, sent: make(chan struct{})}
	l.changed.L, l.room.L = &l.mu, &l.mu
	return l, nil
}

// receive hands over each packet of jobs until the link ends. The handler
// owns their messages.
func (l *link) receive(handle func(slots int, jobs []spawn.Job)) error {
	buf := make([]byte, spawn.MaxPacket)
	for l.awaitRoom() {
		n, files, err := l.packets.Receive(buf, spawn.MaxJobs)
		if err == io.EOF {
			return nil
		}
		if errors.Is(err, fdpass.ErrShortage) {
			err = l.giveBack(buf[:n])
			if err == nil {
				continue
			}
		}
		if err != nil {
			return err
		}
		slots, jobs, err := spawn.DecodeJobs(buf[:n])
		if err == nil {
			err = spawn.AttachFiles(jobs, files)
		}
		if err != nil {
			fdpass.CloseAll(files)
			return err
		}
		handle(slots, jobs)
	}
	return nil
}

// awaitRoom waits until results were read, and reports whether the link is
// still of use.
func (l *link) awaitRoom() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.results) >= maxUnread && !l.closed {
		l.room.Wait()
	}
	return !l.closed
}

// giveBack answers jobs whose messages were lost for want of descriptors: the
// link outlives the shortage (R61).
func (l *link) giveBack(packet []byte) error {
	_, jobs, err := spawn.DecodeJobs(packet)
	if err != nil {
		return err
	}
	for _, job := range jobs {
		for _, r := range job.Recipients {
			l.add(spawn.Result{Delivery: r.Delivery, Class: spawn.Deferral, Text: textNoMessage})
		}
	}
	return nil
}

// add queues a result.
func (l *link) add(r spawn.Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.results = append(l.results, r)
		l.changed.Signal()
	}
}

// finish lets send end when everything was sent.
func (l *link) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.changed.Signal()
	l.room.Signal()
}

// flush returns when all results are sent, or at the limit.
func (l *link) flush(limit time.Time) {
	l.finish()
	if l.packets.SetDeadline(limit) == nil {
		<-l.sent
	}
}

// send sends results, all that have gathered in one packet, until finish.
func (l *link) send() {
	defer close(l.sent)
	var packet []byte
	for {
		batch := l.next()
		if len(batch) == 0 {
			return
		}
		packet = spawn.AppendResults(packet[:0], batch)
		if l.packets.Send(packet) != nil {
			return // qmail-send is gone; receive sees it, too
		}
	}
}

func (l *link) next() []spawn.Result {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.results) == 0 && !l.closed {
		l.changed.Wait()
	}
	n, size := 0, 0
	for n < len(l.results) && spawn.ResultsFit(n+1, size+spawn.ResultSize(l.results[n])) {
		size += spawn.ResultSize(l.results[n])
		n++
	}
	batch := l.results[:n:n]
	l.results = l.results[n:]
	l.room.Signal()
	return batch
}
