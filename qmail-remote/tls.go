package qmailremote

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"

	"postrider/internal/smtpwire"
	"postrider/internal/tlsrpt"
	"postrider/internal/wire/spawn"
)

const (
	// handshakeTime is how long a TLS handshake may take.
	handshakeTime = time.Minute
	// maxHandshake is how many octets a server may send in it.
	maxHandshake = 128 << 10

	// codeNoTLS says that there is no TLS now (RFC 3207 section 4).
	codeNoTLS = 454

	// tlsPort is that of connections that begin with TLS (RFC 8314).
	tlsPort = 465
)

// secured is what is known of the TLS of a session.
type secured struct {
	conn    *tls.Conn
	raw     *rawConn
	version string // "TLSv1.3"
	cipher  string
	// verified is by what the server was: "none", "name", "dane", "mta-sts" or
	// "pin".
	verified string
	flaw     flaw // of a certificate that is only told
}

// enter begins a session, on a new connection, that has what is wanted. Where
// that is TLS if it can be had, a server whose TLS fails gets the message in
// plain text, on another connection: nothing that was said before counts there
// (RFC 7435). One that goes away, or puts us off, has not said that it has no
// TLS, and gets nothing.
func (c *client) enter(ctx context.Context, set *settings, key poolKey, conn net.Conn, want *security) (*session, *report) {
	s, fault := c.begin(ctx, set, key, conn, want)
	c.remember(s, want)
	if fault == nil || ctx.Err() == nil { // one that we call off is nobody's failure
		c.tellSession(key, conn, want, s, fault)
	}
	if fault == nil || !fault.tls || !want.plainWillDo() || ctx.Err() != nil {
		return s, fault
	}
	if fault := c.hadTLS(key.addr.Addr(), want); fault != nil {
		return nil, fault
	}
	conn, err := c.connectTo(ctx, set, key)
	if err != nil {
		return nil, fault
	}
	return c.begin(ctx, set, key, conn, &plainText)
}

// introduce begins a session: the greeting, EHLO, and TLS where it is wanted.
func (s *session) introduce(c *client, want *security) *report {
	if s.key.addr.Port() == tlsPort && want.level != inPlain {
		if err := s.handshake(c, want); err != nil {
			return tlsFailed(s.ip(), want, err)
		}
		return s.greet()
	}
	if fault := s.greet(); fault != nil {
		return fault
	}
	return s.startTLS(c, want)
}

// startTLS goes over to TLS (RFC 3207). Its reports all mean that mail must not
// go over this connection.
func (s *session) startTLS(c *client, want *security) *report {
	switch {
	case want.level == inPlain:
		return nil
	case !s.ext.startTLS && want.plainWillDo():
		return c.hadTLS(s.ip(), want)
	case !s.ext.startTLS:
		return noTLS(s.ip(), want)
	}
	s.await(stepHello)
	reply, err := s.command("STARTTLS")
	switch {
	case err != nil:
		return tlsNotNow(s.ip(), want, err, reply)
	case reply.Code != 220:
		return tlsRefused(s.ip(), want, reply)
	}
	if s.replies.Buffered() > 0 {
		// It would be taken for what the server says inside TLS.
		s.broken = true
		return tlsFailed(s.ip(), want, errUnasked)
	}
	if err := s.handshake(c, want); err != nil {
		return tlsFailed(s.ip(), want, err)
	}
	// What was offered in plain text may have been anybody's word.
	s.ext = extensions{}
	hello, err := s.command(s.helloVerb() + " " + s.key.helo)
	switch {
	case errors.Is(err, errClosing):
		return tlsNotNow(s.ip(), want, err, hello)
	case err != nil: // servers that dislike a handshake may say so behind it
		return tlsFailed(s.ip(), want, err)
	}
	if hello.Code != 250 {
		return nameRejected(s.ip(), hello.Text)
	}
	s.ext = parseExtensions(hello.Text)
	return nil
}

// handshake puts TLS between the connection and the session.
func (s *session) handshake(c *client, want *security) error {
	s.broken = true // until it has gone well
	if err := s.armFor(min(s.timeout, handshakeTime)); err != nil {
		return err
	}
	raw := &rawConn{Conn: s.conn, left: maxHandshake}
	var key ownKey
	conn := tls.Client(raw, want.config(c.certificateFor(&key)))
	if err := conn.Handshake(); err != nil {
		if key.failed {
			err = errOwnKey
		}
		return err
	}
	raw.left = unlimited
	state := conn.ConnectionState()
	s.tls = &secured{
		conn:    conn,
		raw:     raw,
		version: strings.Replace(tls.VersionName(state.Version), "TLS ", "TLSv", 1),
		cipher:  tls.CipherSuiteName(state.CipherSuite),
	}
	s.conn, s.replies, s.broken = conn, smtpwire.NewReplyReader(conn), false
	var err error
	s.tls.verified, err = want.verify(state.PeerCertificates, c.roots, c.clock.Now())
	if err != nil && want.trial {
		s.tls.flaw = flawOf(err, want)
		return nil
	}
	return err
}

// noteTLS adds to the report on a message how it went.
func (s *session) noteTLS(o *outcome) {
	if s.tls == nil {
		return
	}
	o.message.text += "STARTTLS proto=" + s.tls.version + "; cipher=" + s.tls.cipher + "; verify=" + s.tls.verified + ";\n"
}

func tlsFault(text string) *report { return &report{class: deferred, text: text, tls: true} }

// with notes on a fault what reports tell of it.
func (r *report) with(f flaw) *report {
	r.flaw = f
	return r
}

func noTLS(ip netip.Addr, want *security) *report {
	text := "Connected to " + ip.String() + " but it offers no TLS, for which " + printable(want.by) + " asks."
	return want.fault(text, "7.4", "7.10").with(flaw{result: tlsrpt.NoSTARTTLS})
}

func tlsRefused(ip netip.Addr, want *security, reply smtpwire.Reply) *report {
	fault := tlsFault("Connected to " + ip.String() + " but STARTTLS was refused" + want.asks() + ". (#4.7.4)\n" + remoteSaid(reply.Text))
	fault.tls = reply.Code/100 != 4 || reply.Code == codeNoTLS
	if !fault.tls {
		fault.trouble = troubleOf(reply.Text, spawn.None)
	}
	return fault.with(flaw{result: tlsrpt.NoSTARTTLS})
}

// tlsNotNow is for a server that offered TLS and ended the connection when it
// was asked for it.
func tlsNotNow(ip netip.Addr, want *security, err error, reply smtpwire.Reply) *report {
	fault := tlsFailed(ip, want, err)
	fault.text += remoteSaid(reply.Text)
	fault.tls, fault.trouble = false, troubleOf(reply.Text, spawn.Broken)
	if errors.Is(err, errClosing) {
		fault.flaw = flaw{} // it says nothing of its TLS
	}
	return fault
}

func tlsFailed(ip netip.Addr, want *security, err error) *report {
	var wrong *wrongCertificate
	if errors.As(err, &wrong) {
		text := "Connected to " + ip.String() + " but its certificate is not what " + printable(want.by) + " asks for: " +
			printable(wrong.Error()) + "."
		if wrong.ours {
			return tlsFault(text + " (#4.7.5)\n")
		}
		return want.fault(text, "7.5", "7.10").with(flawOf(err, want))
	}
	fault := tlsFault("Connected to " + ip.String() + " but TLS failed" + want.asks() + ": " + printable(err.Error()) + ". (#4.7.5)\n")
	fault.tls = !errors.Is(err, errOwnKey) // plain text does not mend that
	return fault.with(flawOf(err, want))
}
