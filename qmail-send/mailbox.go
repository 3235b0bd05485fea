package qmailsend

import "sync"

// mailbox hands work from the scheduler to goroutines that may wait for disks
// and sockets, so that the scheduler never does. How much is in it is bounded
// by whoever puts.
type mailbox[T any] struct {
	mu     sync.Mutex
	wake   sync.Cond
	items  []T
	closed bool
}

func newMailbox[T any]() *mailbox[T] {
	b := &mailbox[T]{}
	b.wake.L = &b.mu
	return b
}

// put adds items. It never waits.
func (b *mailbox[T]) put(items ...T) {
	b.mu.Lock()
	b.items = append(b.items, items...)
	b.mu.Unlock()
	if len(items) == 1 {
		b.wake.Signal()
	} else {
		b.wake.Broadcast()
	}
}

// take waits for an item and takes the oldest; false is the end.
func (b *mailbox[T]) take() (item T, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.items) == 0 && !b.closed {
		b.wake.Wait()
	}
	if len(b.items) == 0 {
		return item, false
	}
	var zero T
	item, b.items[0] = b.items[0], zero
	b.items = b.items[1:]
	return item, true
}

// takeAll waits for items and takes all; nil is the end.
func (b *mailbox[T]) takeAll() []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.items) == 0 && !b.closed {
		b.wake.Wait()
	}
	items := b.items
	b.items = nil
	return items
}

// close ends the mailbox once it is empty.
func (b *mailbox[T]) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.wake.Broadcast()
}

// discard empties the mailbox and ends it; it returns what was in it.
func (b *mailbox[T]) discard() []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	items := b.items
	b.items, b.closed = nil, true
	b.wake.Broadcast()
	return items
}
