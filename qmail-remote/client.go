package qmailremote

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/address"
	"postrider/internal/clock"
	"postrider/internal/smtpwire"
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

// client delivers mail by SMTP. Any number of goroutines may use it.
type client struct {
	clock    clock.Clock
	settings func() (*settings, error)
	own      *ownAddresses
	dial     func(ctx context.Context, addr netip.AddrPort) (net.Conn, error)
	down     *downHosts
	pool     *pool
}

// dialTCP connects to an address; no name is ever looked up here.
func dialTCP(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", addr.String())
}

// deliver sends a message to the recipients it has in one domain.
func (c *client) deliver(ctx context.Context, domain string, m mail) (outcome, error) {
	set, err := c.settings()
	if err != nil {
		return whole(noControls()), err
	}
	if !sendable(m.sender) {
		return whole(unsendableSender()), nil
	}
	good, refused := sortOut(m.recipients)
	if len(good) == 0 {
		return outcome{message: *noRecipientLeft(), recipients: refused}, nil
	}
	targets, failed := c.targets(ctx, set, domain)
	if failed != nil {
		return whole(failed), nil
	}
	all := m.recipients
	m = m.only(good)
	return spread(c.walk(ctx, set, targets, m), all, refused), nil
}

// sortOut separates the recipients that no SMTP command can carry. good are the
// places of the others; refused has a report at the place of each of them.
func sortOut(recipients []address.Address) (good []int, refused []report) {
	refused = make([]report, len(recipients))
	for i, r := range recipients {
		if sendable(r) && !r.IsNull() {
			good = append(good, i)
		} else {
			refused[i] = unsendableRecipient()
		}
	}
	return good, refused
}

// spread puts the reports for the good recipients at their places among all.
func spread(o outcome, all []address.Address, refused []report) outcome {
	if !slices.ContainsFunc(refused, func(r report) bool { return r.class != 0 }) {
		return o
	}
	full := make([]report, len(all))
	next := 0
	for i := range all {
		switch {
		case refused[i].class != 0:
			full[i] = refused[i]
			continue
		case next < len(o.recipients):
			full[i] = o.recipients[next]
		default:
			full[i] = report{class: rcptTaken} // so that the message's report counts
		}
		next++
	}
	o.recipients = full
	return o
}

// walk tries one address after the other until one settles what becomes of
// the message (RFC 5321 section 5.1).
func (c *client) walk(ctx context.Context, set *settings, targets []target, m mail) outcome {
	if m.body.wireSize >= 0 {
		limited, cancel := context.WithTimeout(ctx, timeLimit(set, m.body.wireSize))
		defer cancel()
		ctx = limited
	}
	last := whole(noConnection())
	sessions := 0
	for i, t := range c.preferIdle(targets, set.helo) {
		if i == maxAddresses || sessions == maxSessions || ctx.Err() != nil {
			break
		}
		key := poolKey{t.addr, set.helo}
		if o, done := c.reuse(ctx, key, m); done {
			return o
		}
		if c.down.skip(t.addr.Addr()) {
			continue
		}
		s, fault, err := c.connect(ctx, set, key)
		switch {
		case err != nil && isShortage(err):
			return whole(noResources())
		case err != nil:
			continue
		}
		sessions++
		if fault != nil {
			last = whole(fault)
			continue
		}
		o, st := c.transactions(ctx, s, m)
		if st != gone {
			return o
		}
		last = o
	}
	return last
}

// timeLimit is how long a message of that size may take.
func timeLimit(set *settings, size int64) time.Duration {
	return maxAddresses*set.connectTimeout + maxWaits*set.remoteTimeout + time.Duration(size/slowestSec)*time.Second
}

// preferIdle moves those of the best addresses to which a connection is open
// to the front: among equals the order is free.
func (c *client) preferIdle(targets []target, helo string) []target {
	best := 0
	for best < len(targets) && targets[best].pref == targets[0].pref {
		best++
	}
	rank := func(t target) int {
		if c.pool.has(poolKey{t.addr, helo}) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(targets[:best], func(a, b target) int { return rank(a) - rank(b) })
	return targets
}

// reuse sends the message over a connection that is open already. done is
// false if there is none, or if it came to nothing: servers end connections
// after a time or a number of messages, some by refusing the next sender. A
// new connection then tells what they think of the message.
func (c *client) reuse(ctx context.Context, key poolKey, m mail) (o outcome, done bool) {
	s := c.pool.take(key)
	if s == nil {
		return outcome{}, false
	}
	o, st := c.transactions(ctx, s, m)
	return o, st == settled
}

// connect opens a session. err: there is no connection; fault: the server did
// not let us in.
func (c *client) connect(ctx context.Context, set *settings, key poolKey) (s *session, fault *report, err error) {
	dialCtx, cancel := context.WithTimeout(ctx, set.connectTimeout)
	defer cancel()
	conn, err := c.dial(dialCtx, key.addr)
	if err != nil {
		if ctx.Err() == nil && isTimeout(err) {
			c.down.timedOut(key.addr.Addr())
		} else {
			c.down.answered(key.addr.Addr())
		}
		return nil, nil, err
	}
	c.down.answered(key.addr.Addr())
	s = &session{
		conn:    conn,
		key:     key,
		replies: smtpwire.NewReplyReader(conn),
		timeout: set.remoteTimeout,
		born:    c.clock.Now(),
	}
	release := s.guard(ctx)
	fault = s.greet()
	release()
	if fault != nil {
		c.pool.retire(s)
		return nil, fault, nil
	}
	return s, nil, nil
}

// transactions sends the message and gives the session back. A server that
// takes only some recipients at a time gets the others in further
// transactions (RFC 5321 section 4.5.3.1.10).
func (c *client) transactions(ctx context.Context, s *session, m mail) (outcome, state) {
	o, st := s.transact(ctx, m)
	if st == refused {
		c.pool.retire(s) // it may be the connection that is not wanted any more
		return o, st
	}
	defer func() { c.pool.put(s) }()
	if st == gone || o.message.class != accepted {
		return o, st
	}
	for later := o.crowded(); len(later) > 0; later = o.crowded() {
		if s.broken || !m.body.again() || ctx.Err() != nil {
			break
		}
		next, nextState := s.transact(ctx, m.only(later))
		if nextState != settled {
			break // what was said about them stands: they are tried later
		}
		o.fold(next, later)
	}
	return o, st
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, unix.ETIMEDOUT) ||
		errors.As(err, &t) && t.Timeout()
}

// isShortage reports that this machine, not the network, has trouble.
func isShortage(err error) bool {
	for _, errno := range []error{unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENOBUFS} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
