package mailbox

import "sync"

// Box hands work from the scheduler to goroutines that may wait for disks
// and sockets, so that the scheduler never does. How much is in it is bounded
// by whoever puts.
type Box[T any] struct {
	mu     sync.Mutex
	wake   sync.Cond
	items  []T
	closed bool
}

// New returns an empty one.
func New[T any]() *Box[T] {
	b := &Box[T]{}
	b.wake.L = &b.mu
	return b
}

// Put adds items. It never waits.
func (b *Box[T]) Put(items ...T) {
	b.mu.Lock()
	b.items = append(b.items, items...)
	b.mu.Unlock()
	if len(items) == 1 {
		b.wake.Signal()
	} else {
		b.wake.Broadcast()
	}
}

// Take waits for an item and takes the oldest; false is the end.
func (b *Box[T]) Take() (item T, ok bool) {
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

// TakeAll waits for items and takes all; nil is the end.
func (b *Box[T]) TakeAll() []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.items) == 0 && !b.closed {
		b.wake.Wait()
	}
	items := b.items
	b.items = nil
	return items
}

// Close ends the mailbox once it is empty.
func (b *Box[T]) Close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.wake.Broadcast()
}

// Discard empties the mailbox and ends it; it returns what was in it.
func (b *Box[T]) Discard() []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	items := b.items
	b.items, b.closed = nil, true
	b.wake.Broadcast()
	return items
}
