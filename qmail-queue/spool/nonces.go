package spool

import (
	"sync"

	"postrider/internal/queuedir"
)

// rememberedNonces is how many committed messages are remembered.
const rememberedNonces = 8192

// recentNonces knows which messages were committed lately, so that one that is
// submitted again after a lost answer does not become two.
type recentNonces struct {
	mu    sync.Mutex
	known map[nonceKey]queuedir.ID // the zero ID: being committed
	order []nonceKey               // ring of the committed ones
	next  int
}

// nonceKey holds the uid, so that nobody profits from another's nonce.
type nonceKey struct {
	nonce queuedir.Nonce
	uid   uint32
}

func newRecentNonces() *recentNonces {
	return &recentNonces{known: make(map[nonceKey]queuedir.ID)}
}

// nonceState is what is known about a nonce.
type nonceState int

const (
	nonceNew nonceState = iota
	nonceBusy
	nonceCommitted
)

// claim marks a nonce as being committed, unless it already is or was. The
// zero nonce is everybody's and stands for none.
func (r *recentNonces) claim(key nonceKey) (nonceState, queuedir.ID) {
	if key.nonce == (queuedir.Nonce{}) {
		return nonceNew, queuedir.ID{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	id, found := r.known[key]
	switch {
	case !found:
		r.known[key] = queuedir.ID{}
		return nonceNew, id
	case id == queuedir.ID{}:
		return nonceBusy, id
	}
	return nonceCommitted, id
}

// abandon forgets a claim: the commit failed.
func (r *recentNonces) abandon(key nonceKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known[key] == (queuedir.ID{}) {
		delete(r.known, key)
	}
}

// fulfil remembers that a message was committed as id.
func (r *recentNonces) fulfil(key nonceKey, id queuedir.ID) {
	if key.nonce == (queuedir.Nonce{}) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known[key] == (queuedir.ID{}) {
		r.remember(key)
	}
	r.known[key] = id
}

// remember puts key into the ring in place of the oldest; the caller holds mu.
func (r *recentNonces) remember(key nonceKey) {
	if len(r.order) < rememberedNonces {
		r.order = append(r.order, key)
		return
	}
	delete(r.known, r.order[r.next])
	r.order[r.next] = key
	r.next = (r.next + 1) % rememberedNonces
}
