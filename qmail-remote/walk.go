package qmailremote

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fate"
)

const (
	maxAddresses = 20 // tried for one message
	maxSessions  = 5  // opened for one message

	// A server that is slow without end is given up: a message may take this
	// many times the timeout of one reply, and a second for so many bytes,
	// besides what the connections may take.
	maxWaits   = 4
	slowestSec = 1 << 10
)

// journey is a message on its way from address to address.
type journey struct {
	client  *client
	set     *settings
	m       mail
	plan    tlsPlan
	targets []target
	done    []bool   // targets that are not tried again
	few     [8]bool  // done of most messages
	sources []source // of this message, the best first
	spent   []origin // from where we are not welcome

	addresses int // tried so far
	sessions  int // opened so far

	never int // targets that cannot have this message (REQUIRETLS)

	last    outcome // if nothing better comes
	refused bool    // last is a refusal, and not only trouble
}

// origin is where a connection comes from: an address of ours, or whichever the
// system takes in that family.
type origin struct {
	source netip.Addr
	four   bool
	proxy  netip.AddrPort
}

// walk tries one address after the other until one settles what becomes of
// the message (RFC 5321 section 5.1).
func (c *client) walk(ctx context.Context, set *settings, targets []target, m mail, domain string) outcome {
	if m.body.wireSize >= 0 {
		limited, cancel := context.WithTimeout(ctx, timeLimit(set, m.body.wireSize))
		defer cancel()
		ctx = limited
	}
	j := c.journey(ctx, set, targets, m, domain)
	j.preferIdle()
	for j.addresses < maxAddresses && j.sessions < maxSessions && ctx.Err() == nil {
		at, from := j.next()
		if at < 0 {
			break
		}
		if o, settled := j.visit(ctx, at, from); settled {
			return o
		}
	}
	return j.end()
}

func (c *client) journey(ctx context.Context, set *settings, targets []target, m mail, domain string) *journey {
	j := &journey{
		client: c, set: set, m: m, targets: targets,
		sources: set.sourcesFor(m.sender, domain),
		plan:    c.tlsPlan(ctx, set, m, domain),
		last:    whole(noConnection()),
	}
	if j.done = j.few[:]; len(targets) > len(j.few) {
		j.done = make([]bool, len(targets))
	}
	return j
}

// timeLimit is how long a message of that size may take.
func timeLimit(set *settings, size int64) time.Duration {
	return maxAddresses*set.connectTimeout + maxWaits*set.waits.longest(set.remoteTimeout) + time.Duration(size/slowestSec)*time.Second
}

// preferIdle moves those of the best addresses to which a connection is open
// to the front: among equals the order is free.
func (j *journey) preferIdle() {
	best := 0
	for best < len(j.targets) && j.targets[best].pref == j.targets[0].pref {
		best++
	}
	if best < 2 {
		return
	}
	rank := func(t target) int {
		from, _ := j.from(t)
		if j.client.pool.has(j.key(t, from)) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(j.targets[:best], func(a, b target) int { return rank(a) - rank(b) })
}

// key says which connections serve for a target.
func (j *journey) key(t target, from source) poolKey {
	helo := from.helo
	if helo == "" {
		helo = j.set.helo
	}
	return poolKey{addr: t.addr, source: from.addr, proxy: from.proxy, helo: helo, via: t.via, tls: j.plan.key(t)}
}

// next returns the next target and from where to go there; -1 if none is left.
func (j *journey) next() (at int, from source) {
	for at, t := range j.targets {
		if j.done[at] {
			continue
		}
		if from, ok := j.from(t); ok {
			return at, from
		}
	}
	return -1, source{}
}

// from returns the best of our addresses from which a target may still be
// tried.
func (j *journey) from(t target) (s source, ok bool) {
	four, any := t.addr.Addr().Is4(), false
	for _, s := range j.sources {
		if !s.fits(t.addr.Addr()) {
			continue
		}
		any = true
		if !slices.Contains(j.spent, origin{s.addr, four, s.proxy}) {
			return s, true
		}
	}
	// The system chooses where no address of that family was named.
	return source{}, !any && !slices.Contains(j.spent, origin{four: four})
}

// visit tries a target. settled is false if another one should have its turn.
func (j *journey) visit(ctx context.Context, at int, from source) (o outcome, settled bool) {
	c := j.client
	if fault := j.plan.fault(j.targets[at]); fault != nil {
		j.keep(whole(fault), false)
		j.count(fault)
		j.done[at] = true
		return o, false
	}
	key := j.key(j.targets[at], from)
	if o, done := c.reuse(ctx, j.set, key, j.m); done && !o.unwelcome() {
		return o, true
	}
	if !key.proxy.IsValid() && j.skips(key.addr.Addr()) {
		j.done[at] = true
		return o, false
	}
	won := j.open(ctx, candidate{at: at, from: from, key: key})
	switch {
	case won.err != nil && fate.IsShortage(won.err):
		return whole(noResources()), true
	case won.err != nil:
		return o, false
	}
	j.sessions++
	if won.key.protocol == qmtp {
		j.done[won.at] = true
		o, st := c.qmtp(ctx, j.set, won.candidate, won.conn, j.m)
		return j.judge(won.candidate, o, st)
	}
	s, fault := c.enter(ctx, j.set, won.key, won.conn, j.plan.wantFor(j.targets[won.at]))
	if fault != nil {
		if fault.never != "" {
			j.sessions-- // all hosts of the domain are to be asked
		}
		j.letIn(won.candidate, fault)
		return o, false
	}
	o, st := c.transactions(ctx, j.set, s, j.m)
	return j.judge(won.candidate, o, st)
}

// skips reports whether an address is not tried because it is known to time out.
func (j *journey) skips(addr netip.Addr) bool { return !j.m.probe && j.client.down.skip(addr) }

// letIn notes that a server did not let us in: another of our addresses may be
// better if that was the reason, else another server.
func (j *journey) letIn(k candidate, fault *report) {
	j.keep(whole(fault), false)
	j.count(fault)
	j.done[k.at] = true
	if fault.unwelcome {
		j.spent = append(j.spent, k.origin())
		if _, another := j.from(j.targets[k.at]); another {
			j.done[k.at] = false
		} else {
			// Other servers may think better of it.
			j.spent = j.spent[:len(j.spent)-1]
		}
	}
}

// judge takes in what became of a message in a session.
func (j *journey) judge(k candidate, o outcome, st state) (outcome, bool) {
	switch {
	case st == gone:
		j.done[k.at] = true
		j.keep(o, false)
		return o, false
	case o.unwelcome():
		j.spent = append(j.spent, k.origin())
		j.keep(o, true)
		return o, false
	}
	return o, true
}

// keep keeps what is to be told if nothing better comes: a refusal rather than
// trouble.
func (j *journey) keep(o outcome, refused bool) {
	if refused || !j.refused {
		j.last, j.refused = o, refused
	}
}

// isBadSource tells that an address in control/outgoingip is none of this host.
func isBadSource(key poolKey, err error) bool {
	return key.source.IsValid() && (errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EINVAL))
}

func badSource(addr netip.Addr) *report {
	return &report{class: deferred, text: "Unable to use control/outgoingip: " + addr.String() + " is not an address of this host. (#4.3.5)\n", ours: true}
}
