package fair

import "container/heap"

// Queue gives out what senders have, in turns: a sender with very many
// items delays another's first one by one turn. It is start-time fair queueing
// (Goyal, Vin, Cheng 1996): each item moves its sender's tag by 1/weight, and
// the smallest tag is next. Items of one sender take turns by destination.
type Queue[T comparable] struct {
	flows   map[Flow]*flow[T]
	order   []*flow[T]     // those that have items: a heap by tag
	resting FIFO[*flow[T]] // whose last turn is not over
	spare   []*flow[T]     // to be used again
	clock   uint64         // the tag that was served last
	items   int
}

// Flow stands for a sender: see senders.go.
type Flow uint64

// flow is what one sender has in a Queue.
type flow[T comparable] struct {
	key    Flow
	weight uint16
	rests  bool
	place  int    // in order, or nowhere
	tag    uint64 // when its next turn is
	lanes  FIFO[*lane[T]]
	byDest map[uint32]*lane[T]
}

// lane is what a sender has for one destination.
type lane[T comparable] struct {
	dest  uint32
	items FIFO[T]
}

const (
	turn = 1 << 20 // what an item costs at weight 1
	// maxResting bounds the memory of senders that have nothing any more.
	maxResting = 1024
	maxSpare   = 64
	// lookAhead is how many senders are asked whether they may have a turn.
	lookAhead = 32
	// nowhere is the place of a flow that has no items.
	nowhere = -1
)

// Len is how many items there are.
func (q *Queue[T]) Len() int { return q.items }

// Push adds an item behind those that its sender has for that destination.
func (q *Queue[T]) Push(item T, key Flow, weight uint16, dest uint32) {
	f := q.flows[key]
	if f == nil {
		f = q.newFlow(key)
	}
	f.weight = max(weight, 1)
	l := f.byDest[dest]
	if l == nil {
		l = &lane[T]{dest: dest}
		f.byDest[dest] = l
		f.lanes.Push(l)
	}
	l.items.Push(item)
	q.items++
	if f.place == nowhere {
		f.tag = max(f.tag, q.clock)
		heap.Push((*flowHeap[T])(q), f)
	}
}

func (q *Queue[T]) newFlow(key Flow) *flow[T] {
	if q.flows == nil {
		q.flows = make(map[Flow]*flow[T])
	}
	f := &flow[T]{}
	if n := len(q.spare); n > 0 {
		f = q.spare[n-1]
		q.spare = q.spare[:n-1]
	} else {
		f.byDest = make(map[uint32]*lane[T])
	}
	f.key, f.place, f.tag, f.rests = key, nowhere, 0, false
	q.flows[key] = f
	return f
}

// Pop takes the next item of those senders that may have a turn; nil lets all.
func (q *Queue[T]) Pop(may func(Flow) bool) (item T, ok bool) {
	var f *flow[T]
	for i, other := range q.order[:min(len(q.order), lookAhead)] {
		if (f == nil || q.less(i, f.place)) && (may == nil || may(other.key)) {
			f = other
		}
		if may == nil {
			break
		}
	}
	if f == nil {
		return item, false
	}
	q.clock = max(q.clock, f.tag)
	l := f.lanes.Pop()
	item = l.items.Pop()
	if l.items.Len() > 0 {
		f.lanes.Push(l)
	} else {
		delete(f.byDest, l.dest)
	}
	q.items--
	q.charge(f, 1)
	if f.lanes.Len() == 0 {
		heap.Remove((*flowHeap[T])(q), f.place)
		q.rest(f)
	}
	return item, true
}

// charge counts n more items for a sender.
func (q *Queue[T]) charge(f *flow[T], n int) {
	f.tag += uint64(n) * turn / uint64(f.weight)
	if f.place != nowhere {
		heap.Fix((*flowHeap[T])(q), f.place)
	}
}

// Also counts items that came with one of the sender key.
func (q *Queue[T]) Also(key Flow, n int) {
	if f := q.flows[key]; f != nil && n > 0 {
		q.charge(f, n)
	}
}

// rest remembers a sender that has nothing until its turn is over, and forgets
// those whose is.
func (q *Queue[T]) rest(f *flow[T]) {
	if !f.rests {
		f.rests = true
		q.resting.Push(f)
	}
	for q.resting.Len() > 0 {
		old := q.resting.First()
		if old.place == nowhere && old.tag > q.clock && q.resting.Len() <= maxResting {
			return
		}
		q.resting.Pop().rests = false
		if old.place == nowhere {
			delete(q.flows, old.key)
			if len(q.spare) < maxSpare {
				q.spare = append(q.spare, old)
			}
		}
	}
}

// Remove takes an item out if it is there.
func (q *Queue[T]) Remove(item T, key Flow) {
	f := q.flows[key]
	if f == nil {
		return
	}
	for range f.lanes.Len() {
		l := f.lanes.Pop()
		if l.items.Remove(item) {
			q.items--
		}
		if l.items.Len() > 0 {
			f.lanes.Push(l)
		} else {
			delete(f.byDest, l.dest)
		}
	}
	if f.lanes.Len() == 0 && f.place != nowhere {
		heap.Remove((*flowHeap[T])(q), f.place)
		q.rest(f)
	}
}

func (q *Queue[T]) less(i, j int) bool { return q.order[i].tag < q.order[j].tag }

// flowHeap is a Queue as container/heap sees it.
type flowHeap[T comparable] Queue[T]

func (h *flowHeap[T]) Len() int           { return len(h.order) }
func (h *flowHeap[T]) Less(i, j int) bool { return h.order[i].tag < h.order[j].tag }
func (h *flowHeap[T]) Swap(i, j int) {
	h.order[i], h.order[j] = h.order[j], h.order[i]
	h.order[i].place, h.order[j].place = i, j
}
func (h *flowHeap[T]) Push(x any) {
	f := x.(*flow[T])
	f.place = len(h.order)
	h.order = append(h.order, f)
}
func (h *flowHeap[T]) Pop() any {
	last := len(h.order) - 1
	f := h.order[last]
	h.order[last] = nil
	h.order = h.order[:last]
	f.place = nowhere
	return f
}
