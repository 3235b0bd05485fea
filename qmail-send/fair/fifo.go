package fair

// FIFO is a queue.
type FIFO[T comparable] struct {
	items []T
	head  int
}

// Len is how many items there are.
func (q *FIFO[T]) Len() int { return len(q.items) - q.head }

// Push adds an item.
func (q *FIFO[T]) Push(item T) {
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	} else if q.head > 64 && q.head*2 > len(q.items) {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, item)
}

// First returns what pop will, if there is anything.
func (q *FIFO[T]) First() T { return q.items[q.head] }

// Pop takes the oldest item; there must be one.
func (q *FIFO[T]) Pop() T {
	var zero T
	item := q.items[q.head]
	q.items[q.head] = zero
	q.head++
	return item
}

// Remove takes item out if it is there.
func (q *FIFO[T]) Remove(item T) bool {
	for i := q.head; i < len(q.items); i++ {
		if q.items[i] == item {
			copy(q.items[i:], q.items[i+1:])
			var zero T
			q.items[len(q.items)-1] = zero
			q.items = q.items[:len(q.items)-1]
			return true
		}
	}
	return false
}
