package spool

import (
	"errors"
	"io"
	"sync"

	"postrider/internal/fdpass"
	"postrider/internal/wire/entries"
)

const (
	// maxWaiting bounds the announcements that wait for the scheduler. Beyond
	// they are dropped, and it is told to scan: a slow scheduler must not
	// stop acceptance.
	maxWaiting = 512 << 10
	// maxOutstanding bounds its questions that have no answer yet: while
	// there are more, its next packet is not read.
	maxOutstanding = 4096
)

// link is the dialogue with qmail-send over one socket; a new socket is a new
// link.
type link struct {
	store   *Store
	packets *fdpass.Packets
	log     func(string)

	mu          sync.Mutex
	changed     sync.Cond
	waiting     []byte // encoded messages, to be sent in this order
	announced   int    // bytes of announcements among them
	scan        bool   // announcements were dropped
	outstanding int
	ended       bool
}

func newLink(store *Store, packets *fdpass.Packets, log func(string)) *link {
	l := &link{store: store, packets: packets, log: log}
	l.changed.L = &l.mu
	return l
}

// announce tells the scheduler about a new entry without ever waiting.
func (l *link) announce(m entries.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return // who follows scans
	}
	size := entries.Size(m)
	if l.scan || l.announced+size > maxWaiting {
		l.scan = true
		return
	}
	l.announced += size
	l.waiting = entries.Append(l.waiting, m)
	l.changed.Broadcast()
}

// askScan has the scheduler scan the queue.
func (l *link) askScan() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.scan = true
	l.changed.Broadcast()
}

// answer sends the answer to one question.
func (l *link) answer(m entries.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.outstanding--
	if !l.ended {
		l.waiting = entries.Append(l.waiting, m)
	}
	l.changed.Broadcast()
}

// run serves the link until it ends, and closes it.
func (l *link) run() {
	sent := make(chan struct{})
	go func() {
		l.send()
		close(sent)
	}()
	err := l.receive()
	if l.end() && err != io.EOF {
		l.log("warning: dialogue with qmail-send: " + err.Error())
	}
	<-sent
}

// end closes the link; what waits is dropped. It tells whether it was open.
func (l *link) end() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	l.ended = true
	l.waiting = nil
	_ = l.packets.Close() // nothing unsent matters: the peer's successor scans
	l.changed.Broadcast()
	return true
}

// send moves what waits onto the wire, as much as fits in each packet.
func (l *link) send() {
	for {
		batch := l.take()
		if batch == nil {
			return
		}
		for len(batch) > 0 {
			n := wholeMessages(batch)
			if err := l.packets.Send(batch[:n]); err != nil {
				l.end()
				return
			}
			batch = batch[n:]
		}
	}
}

// take waits for something to send; nil is the end.
func (l *link) take() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) == 0 && !l.scan && !l.ended {
		l.changed.Wait()
	}
	if l.ended {
		return nil
	}
	batch := l.waiting
	if l.scan {
		batch = entries.Append(batch, entries.Message{Kind: entries.Scan})
	}
	l.waiting, l.announced, l.scan = nil, 0, false
	return batch
}

// wholeMessages returns how many bytes at the start of b are whole messages
// that fit into a packet.
func wholeMessages(b []byte) int {
	if len(b) <= fdpass.MaxPacket {
		return len(b)
	}
	n := 0
	// Our own encoding: Decode cannot fail before the cut.
	_ = entries.Decode(b, func(m entries.Message) error {
		if size := entries.Size(m); n+size <= fdpass.MaxPacket {
			n += size
			return nil
		}
		return errPacketFull
	})
	return n
}

var errPacketFull = errors.New("packet is full")

// receive handles the scheduler's questions.
func (l *link) receive() error {
	buf := make([]byte, fdpass.MaxPacket)
	for {
		l.mu.Lock()
		for l.outstanding > maxOutstanding && !l.ended {
			l.changed.Wait()
		}
		l.mu.Unlock()
		n, _, err := l.packets.Receive(buf, 0)
		if err != nil {
			return err
		}
		if err := entries.Decode(buf[:n], l.handle); err != nil {
			return err
		}
	}
}

func (l *link) handle(m entries.Message) error {
	switch m.Kind {
	case entries.Remove, entries.Query, entries.Quarantine:
	default:
		return errors.New("it says what only qmail-spool may say")
	}
	l.mu.Lock()
	l.outstanding++
	l.mu.Unlock()
	switch m.Kind {
	case entries.Query:
		l.store.awaitOpen()
		kind := entries.NotCommitted
		if l.store.isCommitted(m.ID) {
			kind = entries.Committed
		}
		l.answer(entries.Message{Kind: kind, ID: m.ID})
	case entries.Remove:
		l.store.remove(m.ID, func() { l.answer(entries.Message{Kind: entries.Removed, ID: m.ID}) })
	case entries.Quarantine:
		l.store.quarantine(m.ID, m.Torn, func() { l.answer(entries.Message{Kind: entries.Quarantined, ID: m.ID}) })
	}
	return nil
}

// latest is the scheduler's newest link, if there is one.
type latest struct {
	mu     sync.Mutex
	link   *link
	missed bool // an entry was committed before the first link came
}

// replace makes next the link that hears of new entries. The scheduler scans the
// queue when it has its end, which may have been before: what was committed
// meanwhile is found by another scan.
func (l *latest) replace(next *link) {
	l.mu.Lock()
	former := l.link
	l.link = next
	missed := l.missed || former != nil
	l.missed = false
	l.mu.Unlock()
	if missed {
		next.askScan()
	}
	if former != nil {
		former.end()
	}
}

func (l *latest) announce(m entries.Message) {
	l.mu.Lock()
	link := l.link
	l.missed = l.missed || link == nil
	l.mu.Unlock()
	if link != nil {
		link.announce(m)
	}
}
