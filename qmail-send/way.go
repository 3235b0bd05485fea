package qmailsend

import "postrider/internal/route"

// channelID is one of qmail's two ways out.
type channelID = route.Channel

const (
	local    = route.Local
	remote   = route.Remote
	channels = route.Channels
)

// class says whether a pass is the first of its message.
type class int

const (
	firsts class = iota
	retries
	classes
)

const (
	// minLocalLimit is how many local deliveries are given out at a time at
	// least: those into a Maildir wait only for the disk. concurrencylocal
	// limits the others, in qmail-lspawn.
	minLocalLimit = 200
	// prefetch is how many messages of a class are read in advance.
	prefetch = 32
	// bulkPass is after how many recipients a pass no longer counts against
	// prefetch: lists do not keep others out.
	bulkPass = 100
	// maxOpen bounds the passes of a class that wait for slots.
	maxOpen = 128
)

// way is the state of one channel: its slots, and the passes that have
// recipients to give out.
type way struct {
	id          channelID
	concurrency int // the control file's number; 0 holds the channel
	limit       int // deliveries in flight

	inFlight int
	busy     [classes]int  // deliveries in flight by class
	ready    [classes]ring // passes with recipients in their window
	bulk     [classes]int  // how many of ready and refilling gave out many
	filling  [classes]int  // passes that wait for their next window
	loading  [classes]int  // messages being read
}

func newWay(id channelID, concurrency int) *way {
	w := &way{id: id, concurrency: concurrency, limit: concurrency}
	if id == local && concurrency > 0 {
		w.limit = max(concurrency, minLocalLimit)
	}
	return w
}

// hasRoom reports whether another message of class k may be read.
func (w *way) hasRoom(k class) bool {
	open := w.ready[k].len() + w.filling[k] + w.loading[k]
	return open < maxOpen && open-w.bulk[k] < prefetch
}

// retryLimit is how many slots retries may hold: part is kept for first
// attempts, which never wait for slow retries to end.
func (w *way) retryLimit() int {
	if w.limit < 2 {
		return w.limit
	}
	return w.limit - max(1, w.limit/4)
}

// choose returns the class whose turn it is and how many deliveries it may
// start; 0 means none. First attempts go first, but where there are a few
// slots one is left to the retries, so that they go on under any load.
func (w *way) choose() (class, int) {
	free := w.limit - w.inFlight
	retry := min(free, w.retryLimit()-w.busy[retries])
	if w.ready[retries].len() == 0 {
		retry = 0
	}
	if w.ready[firsts].len() == 0 {
		return retries, max(0, retry)
	}
	if retry > 0 && w.busy[retries] == 0 && w.limit >= 4 {
		if free == 1 {
			return retries, 1
		}
		free--
	}
	return firsts, max(0, free)
}

// ring is the passes that take turns.
type ring struct {
	passes []*pass
	head   int
}

func (r *ring) len() int { return len(r.passes) - r.head }

func (r *ring) push(p *pass) {
	if r.head > 64 && r.head*2 > len(r.passes) {
		n := copy(r.passes, r.passes[r.head:])
		clear(r.passes[n:])
		r.passes, r.head = r.passes[:n], 0
	}
	r.passes = append(r.passes, p)
}

func (r *ring) pop() *pass {
	p := r.passes[r.head]
	r.passes[r.head] = nil
	r.head++
	return p
}

// remove takes p out if it is there.
func (r *ring) remove(p *pass) {
	for i := r.head; i < len(r.passes); i++ {
		if r.passes[i] == p {
			r.passes = append(r.passes[:i], r.passes[i+1:]...)
			return
		}
	}
}
