package qmailremote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"postrider/internal/address"
	"postrider/internal/clock"
	"postrider/internal/idn"
	"postrider/internal/smtpwire"
)

// client delivers mail by SMTP. Any number of goroutines may use it.
type client struct {
	clock    clock.Clock
	settings func() (*settings, error)
	own      *ownAddresses
	dial     func(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error)
	down     *downHosts
	pool     *pool
	// roots are the certificate authorities that this machine trusts.
	roots func() (*x509.CertPool, error)
	// policies knows those of MTA-STS; nil: nobody does.
	policies policies
	// memory knows which hosts had TLS; nil: nobody does.
	memory tlsMemory
	// reports counts what sessions find of TLS; nil: nobody does.
	reports tlsReports
	// certificate is this host's, for servers that ask for one.
	certificate func(context.Context) *tls.Certificate
	// signer has messages signed; nil: nobody does.
	signer *signer
	// headers are the places of those who look at long ones.
	headers chan struct{}
}

// dialTCP connects to an address, from one of ours if that is valid; no name is
// ever looked up here.
func dialTCP(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	var d net.Dialer
	if from.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	return d.DialContext(ctx, "tcp", to.String())
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
	domain = withoutDot(domain)
	targets, failed := c.targetsOf(ctx, set, m, domain)
	if failed != nil {
		return whole(failed), nil
	}
	if targets[0].protocol != lmtp { // that delivers
		if m.signing, failed = c.signing(ctx, set, m); failed != nil {
			return whole(failed), nil
		}
	}
	hosts := hostsOf(targets)
	m.limits = limitsOf(set.destinations.For(idn.Key(domain), hosts).Limits)
	all := m.recipients
	m = m.only(good)
	o := spread(c.walk(ctx, set, targets, m, domain), all, refused)
	if !o.message.ours {
		o.hosts = joined(hosts)
	}
	return o, nil
}

// withoutDot returns a domain without the dot that the DNS ignores at its end:
// tables of routes and policies have none, and mail must not pass by them.
func withoutDot(domain string) string {
	if name, found := strings.CutSuffix(domain, "."); found && name != "" {
		return name
	}
	return domain
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

// reuse sends the message over a connection that is open already. done is
// false if there is none, or if it came to nothing: servers end connections
// after a time or a number of messages, some by refusing the next sender. A
// new connection then tells what they think of the message.
func (c *client) reuse(ctx context.Context, set *settings, key poolKey, m mail) (o outcome, done bool) {
	s := c.pool.take(key)
	if s == nil {
		return outcome{}, false
	}
	o, st := c.transactions(ctx, set, s, m)
	return o, st == settled
}

// connect opens a session. err: there is no connection; fault: the server did
// not let us in, or does not have what is wanted.
func (c *client) connect(ctx context.Context, set *settings, key poolKey, want *security) (s *session, fault *report, err error) {
	conn, err := c.connectTo(ctx, set, key)
	if err != nil {
		return nil, nil, err
	}
	s, fault = c.enter(ctx, set, key, conn, want)
	return s, fault, nil
}

// connectTo opens a connection.
func (c *client) connectTo(ctx context.Context, set *settings, key poolKey) (net.Conn, error) {
	dialCtx, cancel := context.WithTimeout(ctx, set.connectTimeout)
	defer cancel()
	if key.proxy.IsValid() {
		return c.dialBy(dialCtx, set, key)
	}
	conn, err := c.dial(dialCtx, key.source, key.addr)
	switch {
	case err != nil && ctx.Err() != nil: // called off: nothing is known
	case err != nil && isTimeout(err):
		c.down.timedOut(key.addr.Addr())
	default:
		c.down.answered(key.addr.Addr())
	}
	return conn, err
}

// begin greets the server of a new connection.
func (c *client) begin(ctx context.Context, set *settings, key poolKey, conn net.Conn, want *security) (s *session, fault *report) {
	s = &session{
		conn:      conn,
		key:       key,
		want:      want,
		replies:   smtpwire.NewReplyReader(conn),
		timeout:   set.remoteTimeout,
		waits:     &set.waits,
		otherwise: set.remoteTimeout,
		born:      c.clock.Now(),
	}
	release := s.guard(ctx)
	if fault = s.introduce(c, want); fault == nil {
		fault = s.keepsPromise(want)
	}
	if fault != nil && s.ext.postponed != "" {
		fault.never = "" // it may offer more another time
	}
	s.ext.chunking = s.ext.chunking && set.chunking && key.protocol == smtp
	if fault == nil && key.login != (login{}) {
		fault = s.logIn(set)
	}
	release()
	if fault != nil {
		c.pool.retire(s)
		return nil, fault
	}
	return s, nil
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, unix.ETIMEDOUT) ||
		errors.As(err, &t) && t.Timeout()
}
