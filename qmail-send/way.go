package qmailsend

import (
	"postrider/internal/route"
	"postrider/qmail-send/fair"
)

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
	busy     [classes]int   // deliveries in flight by class
	ready    [classes]turns // passes with recipients in their window
	bulk     [classes]int   // how many of ready and refilling gave out many
	filling  [classes]int   // passes that wait for their next window
	loading  [classes]int   // messages being read
	stalled  int            // passes that wait in hand for their destinations
	under    tally          // deliveries in flight by sender
	opened   tally          // first attempts from reading to the last delivery given out
}

func newWay(id channelID, concurrency int) *way {
	w := &way{id: id, concurrency: concurrency, limit: concurrency, under: make(tally), opened: make(tally)}
	if id == local && concurrency > 0 {
		w.limit = max(concurrency, minLocalLimit)
	}
	return w
}

// hasRoom reports whether another message of class k may be read.
func (w *way) hasRoom(k class) bool {
	open := w.open(k)
	return open < maxOpen && open-w.bulk[k] < prefetch
}

// hasRoomForNew reports whether a first attempt may be read of a sender of
// whom nothing is read: those that are do not keep him out.
func (w *way) hasRoomForNew() bool { return w.open(firsts) < maxOpen }

// hasRoomForReady reports whether another message may be read of those that have
// waited for their destination: they take half of the places, so that others
// have theirs.
func (w *way) hasRoomForReady(k class) bool {
	open := w.open(k)
	return open < maxOpen && open-w.bulk[k] < prefetch/2
}

func (w *way) open(k class) int { return w.ready[k].Len() + w.filling[k] + w.loading[k] }

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
	retry := w.retryRoom()
	if w.ready[firsts].Len() == 0 {
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

// retryRoom is how many deliveries of retries may start.
func (w *way) retryRoom() int {
	if w.ready[retries].Len() == 0 {
		return 0
	}
	return min(w.limit-w.inFlight, w.retryLimit()-w.busy[retries])
}

// spared is how many slots are left to senders that have nothing under way: a
// new one finds a slot, whatever the others have.
func (w *way) spared() int { return w.limit / 16 }

// next takes the pass whose turn it is and says how many deliveries it may
// start; nil: none may.
func (w *way) next() (*pass, int) {
	k, n := w.choose()
	if p, most := w.take(k, n); p != nil || n == 0 {
		return p, most
	}
	if k == firsts {
		return w.take(retries, w.retryRoom())
	}
	return w.take(firsts, w.limit-w.inFlight)
}

// take takes the pass of a class whose turn it is, and says how many deliveries
// it may start, at most n; nil: no sender may have one of the last slots.
func (w *way) take(k class, n int) (*pass, int) {
	if n <= 0 {
		return nil, 0
	}
	rest := w.limit - w.inFlight - w.spared()
	var may func(fair.Flow) bool
	if rest <= 0 {
		may = func(f fair.Flow) bool { return w.under[f] == 0 }
	}
	p, ok := w.ready[k].Pop(may)
	if !ok {
		return nil, 0
	}
	if w.under[p.flow] == 0 {
		rest = max(rest, 1)
	}
	return p, min(n, rest)
}

// turns is the passes that take turns.
type turns struct{ fair.Queue[*pass] }

func (t *turns) push(p *pass) { t.Queue.Push(p, p.flow, p.weight, p.lane) }

// remove takes p out if it is there.
func (t *turns) remove(p *pass) { t.Queue.Remove(p, p.flow) }

// tally counts something by sender.
type tally map[fair.Flow]int32

func (t tally) add(f fair.Flow, n int32) {
	if t[f] += n; t[f] == 0 {
		delete(t, f)
	}
}
