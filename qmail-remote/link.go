package qmailremote

import (
	"context"
	"os"
	"sync"
	"time"

	"postrider/internal/fdpass"
	"postrider/internal/wire/spawn"
)

const (
	// flushFor is how long the last results may take to be read.
	flushFor = 2 * time.Second
	// maxInHand is how many jobs are worked on at a time, and how many results may
	// wait to be read; maxHeld is how many bytes of messages those jobs have:
	// larger messages are files. No more is taken from qmail-send until there is
	// room.
	maxInHand = 4096
	maxHeld   = 8 << 20
)

// link is the connection to one run of qmail-send. Its context ends with it:
// deliveries that cannot be reported any more are called off, so that as few
// as possible happen twice.
type link struct {
	packets *fdpass.Packets
	ctx     context.Context
	cancel  context.CancelFunc

	mu      sync.Mutex
	waiting []spawn.Result
	sending bool // one goroutine at a time sends what waits
	sent    *sync.Cond
	inHand  int        // jobs
	held    int        // bytes of their messages
	room    *sync.Cond // there is less of one of those, or the link has ended
}

func newLink(ctx context.Context, f *os.File) (*link, error) {
	packets, err := fdpass.NewPackets(f)
	if err != nil {
		return nil, err
	}
	l := &link{packets: packets}
	l.ctx, l.cancel = context.WithCancel(ctx)
	l.sent, l.room = sync.NewCond(&l.mu), sync.NewCond(&l.mu)
	context.AfterFunc(l.ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.room.Broadcast()
	})
	return l, nil
}

// awaitRoom waits until there is room for another packet of jobs, and reports
// whether the link is still of use.
func (l *link) awaitRoom() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.ctx.Err() == nil && (l.inHand >= maxInHand || l.held >= maxHeld || len(l.waiting) >= maxInHand) {
		l.room.Wait()
	}
	return l.ctx.Err() == nil
}

// begin counts a job with so many bytes, finish counts it off.
func (l *link) begin(bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inHand++
	l.held += bytes
}

func (l *link) finish(bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inHand--
	l.held -= bytes
	l.room.Signal()
}

// end closes the link. What waits is lost, which means temporary.
func (l *link) end() {
	l.cancel()
	_ = l.packets.Close() // nothing was written that close could lose
}

// answer sends results. While one packet is on its way, the results of others
// gather for the next.
func (l *link) answer(results []spawn.Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, results...)
	if l.sending {
		return
	}
	l.sending = true
	for len(l.waiting) > 0 {
		packet := l.nextPacket()
		l.mu.Unlock()
		err := l.packets.Send(packet)
		l.mu.Lock()
		l.room.Signal()
		if err != nil {
			l.waiting = nil // the reader of the link sees the end too
			l.cancel()
		}
	}
	l.sending = false
	l.sent.Broadcast()
}

// nextPacket takes as many results as fit one packet; the lock is held.
func (l *link) nextPacket() []byte {
	count, size := 0, 0
	for _, r := range l.waiting {
		if !spawn.ResultsFit(count+1, size+spawn.ResultSize(r)) {
			break
		}
		count++
		size += spawn.ResultSize(r)
	}
	packet := spawn.AppendResults(nil, l.waiting[:count])
	l.waiting = l.waiting[count:]
	return packet
}

// flush waits until everything that was answered is sent, but not for ever for
// a reader that has stopped.
func (l *link) flush() {
	_ = l.packets.SetDeadline(time.Now().Add(flushFor)) // fails only when closed
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.sending {
		l.sent.Wait()
	}
}
