package qmailsend

import (
	"container/heap"
	"hash/maphash"
	"strings"

	"postrider/internal/destinations"
	"postrider/qmail-send/fair"
)

const (
	// maxDestinations bounds the destinations that are remembered. Of those that
	// nothing is under way to, which are always some, one is forgotten for a
	// new one.
	maxDestinations = 2 * maxConcurrency
	// maxDomains bounds the domains of which it is known whose they are.
	maxDomains = 100_000
	// samples is among how many one is chosen that is forgotten.
	samples = 16
)

// destinationTable finds destinations. A domain is a hash: nothing else is kept
// of it. Two that have the same are one destination.
type destinationTable struct {
	rules      *destinations.Table
	seed       maphash.Seed
	byDomain   map[uint32]*destination
	byIdentity map[uint64]*destination
	all        map[*destination]struct{}
	timers     []*destination // with messages that wait, by readyAt: a heap
	ready      fair.FIFO[*destination]
	share      int // deliveries that one destination may have at a time
	// released is what becomes of messages that wait for one that is forgotten.
	released func(*destination)
}

func newDestinationTable(rules *destinations.Table, limit int) *destinationTable {
	return &destinationTable{
		rules: rules, seed: maphash.MakeSeed(), share: shareOf(limit),
		byDomain: make(map[uint32]*destination), byIdentity: make(map[uint64]*destination), all: make(map[*destination]struct{}),
	}
}

// shareOf is how many of the slots one destination may have: one that takes
// minutes for every answer leaves a quarter to the others.
func shareOf(limit int) int {
	if limit < 2 {
		return limit
	}
	return limit - max(1, limit/4)
}

// of returns the destination of a domain, by its hash; nil if there is no room
// for another.
func (t *destinationTable) of(key uint32, now moment) *destination {
	d := t.byDomain[key]
	if d == nil {
		if len(t.all) >= maxDestinations && !t.forgetOne() {
			return nil
		}
		d = newDestination()
		t.all[d] = struct{}{}
		t.assign(key, d)
	}
	d.used = now
	return d
}

// ofSpec is of for a domain whose name is known. One that has a line of its own
// since it was found to belong to others goes its own way.
func (t *destinationTable) ofSpec(key uint32, domain, name string, now moment) *destination {
	d := t.of(key, now)
	if d != nil && len(d.keys) > 1 && t.rules.For(domain, nil).Scope == destinations.OneDomain {
		t.leave(key)
		d = t.of(key, now)
	}
	if d != nil && d.name == "" {
		d.name, d.domain = name, domain
		d.rule = t.rules.For(domain, nil)
	}
	return d
}

// assign makes d that of a domain.
func (t *destinationTable) assign(key uint32, d *destination) {
	if !t.leave(key) && len(t.byDomain) >= maxDomains {
		t.forgetDomain()
	}
	t.byDomain[key] = d
	d.keys[key] = struct{}{}
}

// leave makes a domain nobody's, and reports whether it was somebody's.
func (t *destinationTable) leave(key uint32) bool {
	d, known := t.byDomain[key]
	if known {
		delete(t.byDomain, key)
		delete(d.keys, key)
	}
	return known
}

// forgetDomain forgets whose a domain is; it will be found out again.
func (t *destinationTable) forgetDomain() {
	for key, d := range t.byDomain {
		t.leave(key)
		if d.atRest() && d.identity == 0 {
			t.forget(d)
		}
		return
	}
}

// forgetOne forgets a destination that is at rest, or else one that nothing is
// under way to, of some that it looks at the one that was used longest ago.
func (t *destinationTable) forgetOne() bool {
	var oldest *destination
	looked := 0
	for d := range t.all {
		if !d.underWay() && d.stalled.Len() == 0 && (oldest == nil || d.older(oldest)) {
			oldest = d
		}
		if looked++; looked >= samples && oldest != nil {
			break
		}
	}
	if oldest == nil {
		return false
	}
	if oldest.waits > 0 {
		t.released(oldest)
	}
	t.forget(oldest)
	return true
}

// older reports whether d is to be forgotten before other.
func (d *destination) older(other *destination) bool {
	if (d.waits > 0) != (other.waits > 0) {
		return d.waits == 0
	}
	return d.used < other.used
}

func (t *destinationTable) forget(d *destination) {
	for key := range d.keys {
		t.leave(key)
	}
	if d.identity != 0 && t.byIdentity[d.identity] == d {
		delete(t.byIdentity, d.identity)
	}
	t.unschedule(d)
	delete(t.all, d)
}

// learn notes to which hosts mail of a domain goes that d stood for, and returns
// the destination that it belongs to. joined says that d is no more.
func (t *destinationTable) learn(d *destination, key uint32, domain, hosts string, now moment) (e *destination, joined bool) {
	rule := t.rules.For(domain, strings.Split(hosts, ","))
	name := hosts
	switch rule.Scope {
	case destinations.OneDomain:
		d.hosts = hosts
		return d, false
	case destinations.OneLine:
		name = rule.Pattern
	}
	identity := maphash.String(t.seed, name) | 1
	e = t.byIdentity[identity]
	switch {
	case d.identity == identity:
		return d, false
	case e == nil && d.identity == 0:
		d.identity, d.name, d.hosts, d.rule = identity, name, hosts, rule
		t.byIdentity[identity] = d
		return d, false
	case e == nil:
		// The domain has moved. Others may have stayed.
		t.leave(key)
		if e = t.of(key, now); e == nil {
			return d, false
		}
		e.identity, e.name, e.hosts, e.rule, e.domain = identity, name, hosts, rule, domain
		t.byIdentity[identity] = e
		return e, false
	}
	t.assign(key, e)
	if d.identity != 0 {
		return e, false
	}
	t.join(d, e)
	return e, true
}

// join makes d part of e.
func (t *destinationTable) join(d, e *destination) {
	for key := range d.keys {
		t.assign(key, e)
	}
	t.forget(d)
	e.jobs += d.jobs
	e.slots += d.slots
	e.claims += d.claims
	e.asked = append(e.asked, d.asked[:min(len(d.asked), max(0, maxAsked-len(e.asked)))]...)
	e.last = max(e.last, d.last)
	for k, q := range d.waiting {
		for q != nil && q.Len() > 0 {
			m, _ := q.Pop(nil)
			e.wait(m, class(k))
		}
	}
	*d = destination{successor: e, stalled: d.stalled, place: nowhere, isReady: d.isReady}
}

// wait lets m wait for d.
func (d *destination) wait(m *message, k class) {
	if d.waiting[k] == nil {
		d.waiting[k] = new(fair.Queue[*message])
	}
	d.waiting[k].Push(m, m.flow, m.weight, 0)
	d.waits++
}

// nextWaiting takes the message whose turn it is; every fourth is a retry, if
// there is one. nil: none of the classes that may.
func (d *destination) nextWaiting(may [classes]bool) (*message, class) {
	order := [classes]class{firsts, retries}
	if d.turn++; d.turn%4 == 0 {
		order = [classes]class{retries, firsts}
	}
	for _, k := range order {
		for q := d.waiting[k]; may[k] && q != nil && q.Len() > 0; {
			m, _ := q.Pop(nil)
			d.waits--
			if m.is(parked) && !m.is(forgotten) && m.place[remote] >= 0 {
				return m, k
			}
		}
	}
	return nil, firsts
}

// schedule sees to it that d is looked at when it is ready. It is called after
// every change of d.
func (t *destinationTable) schedule(d *destination, now moment) {
	switch at := d.readyAt(); {
	case d.waits == 0 || at == never:
		t.unschedule(d)
	case at <= now:
		t.unschedule(d)
		t.wake(d)
	case d.place == nowhere:
		heap.Push((*destinationHeap)(t), d)
	default:
		heap.Fix((*destinationHeap)(t), d.place)
	}
}

func (t *destinationTable) unschedule(d *destination) {
	if d.place != nowhere {
		heap.Remove((*destinationHeap)(t), d.place)
	}
}

// wake notes that messages may be read for d.
func (t *destinationTable) wake(d *destination) {
	if d.waits > 0 && !d.isReady {
		d.isReady = true
		t.ready.Push(d)
	}
}

// wakeDue wakes those whose time has come.
func (t *destinationTable) wakeDue(now moment) {
	for len(t.timers) > 0 && t.timers[0].readyAt() <= now {
		d := t.timers[0]
		t.unschedule(d)
		t.wake(d)
	}
}

// next returns when wakeDue has something to do.
func (t *destinationTable) next() moment {
	if len(t.timers) == 0 {
		return never
	}
	return t.timers[0].readyAt()
}

// apply takes new rules. Which domains belong together is found out again.
func (t *destinationTable) apply(rules *destinations.Table, now moment) {
	t.rules = rules
	clear(t.byIdentity)
	for d := range t.all {
		if d.name == "" {
			continue
		}
		var hosts []string
		if d.hosts != "" {
			hosts = strings.Split(d.hosts, ",")
		}
		if len(d.keys) > 1 && rules.For(d.domain, nil).Scope == destinations.OneDomain {
			d.domain = "" // that one leaves the others: see ofSpec
		}
		d.rule = rules.For(d.domain, hosts)
		d.identity, d.hosts = 0, ""
		t.schedule(d, now)
	}
}

// destinationHeap is the timers as container/heap sees them.
type destinationHeap destinationTable

func (h *destinationHeap) Len() int           { return len(h.timers) }
func (h *destinationHeap) Less(i, j int) bool { return h.timers[i].readyAt() < h.timers[j].readyAt() }
func (h *destinationHeap) Swap(i, j int) {
	h.timers[i], h.timers[j] = h.timers[j], h.timers[i]
	h.timers[i].place, h.timers[j].place = i, j
}
func (h *destinationHeap) Push(x any) {
	d := x.(*destination)
	d.place = len(h.timers)
	h.timers = append(h.timers, d)
}
func (h *destinationHeap) Pop() any {
	last := len(h.timers) - 1
	d := h.timers[last]
	h.timers[last] = nil
	h.timers = h.timers[:last]
	d.place = nowhere
	return d
}
