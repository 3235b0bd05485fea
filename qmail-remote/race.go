package qmailremote

import (
	"context"
	"errors"
	"net"
	"time"
)

// headStart is how long a connection may take before one in the other family
// is tried beside it (RFC 8305 section 5).
const headStart = 250 * time.Millisecond

// candidate is a target that is connected to.
type candidate struct {
	at   int // in journey.targets
	from source
	key  poolKey
}

func (k candidate) origin() origin { return origin{k.from.addr, k.key.addr.Addr().Is4(), k.from.proxy} }

// dialed is what came of it.
type dialed struct {
	candidate
	conn net.Conn
	err  error
}

// open connects to a target. Where an equal target has an address in the other
// family, that one is tried, too, if the first takes long: a network that does
// not work in one family costs a moment and not a timeout.
func (j *journey) open(ctx context.Context, first candidate) dialed {
	second, ok := j.partner(first)
	if !ok {
		j.addresses++
		conn, err := j.client.connectTo(ctx, j.set, first.key)
		return j.dialed(dialed{first, conn, err})
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan dialed, 2)
	running := 0
	start := func(k candidate) {
		running++
		j.addresses++
		go func() {
			conn, err := j.client.connectTo(ctx, j.set, k.key)
			results <- dialed{k, conn, err}
		}()
	}
	start(first)
	clock := j.client.clock
	end := clock.Now().Add(headStart)
	wake, stop := clock.At(end)
	defer func() { stop() }()
	var got dialed
	for running > 0 {
		select {
		case got = <-results:
			running--
			if got = j.dialed(got); got.err == nil {
				go closeLosers(results, running)
				return got
			}
		case <-wake:
			if clock.Now().Before(end) {
				stop()
				wake, stop = clock.At(end)
				continue
			}
			wake = nil
			start(second)
		}
	}
	return got
}

// partner finds the target that may be tried beside the first.
func (j *journey) partner(first candidate) (k candidate, ok bool) {
	t := j.targets[first.at]
	for at, other := range j.targets {
		if j.done[at] || other.pref != t.pref || other.addr.Addr().Is4() == t.addr.Addr().Is4() || j.skips(other.addr.Addr()) {
			continue
		}
		if from, ok := j.from(other); ok && j.plan.fault(other) == nil {
			return candidate{at: at, from: from, key: j.key(other, from)}, true
		}
	}
	return candidate{}, false
}

// dialed notes a failure, so that the target is not tried again; an address of
// ours that is none leaves it to the next one.
func (j *journey) dialed(d dialed) dialed {
	var proxy *proxyFailed
	switch {
	case d.err == nil:
	case errors.As(d.err, &proxy):
		j.spent = append(j.spent, d.origin())
		j.keep(whole(badProxy(proxy)), false)
	case isBadSource(d.key, d.err):
		j.spent = append(j.spent, d.origin())
		j.keep(whole(badSource(d.key.source)), false)
	default:
		j.done[d.at] = true
	}
	return d
}

// closeLosers closes connections that come too late.
func closeLosers(results <-chan dialed, running int) {
	for range running {
		if d := <-results; d.conn != nil {
			_ = d.conn.Close() // nothing was said over it
		}
	}
}
