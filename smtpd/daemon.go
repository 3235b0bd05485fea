package smtpd

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"postrider/internal/figures"
	"postrider/internal/listener"
	"postrider/internal/mailboxes"
	"postrider/internal/sessionlimit"
	"postrider/internal/sessions"
	"postrider/internal/tcprules"
	"postrider/internal/wire/parent"
)

// reserved descriptors are for mail on its way to the queue.
const reserved = maxCommits + maxStreams + 64

// daemon serves the listening sockets that qmail-start hands over.
type daemon struct {
	*service
	controls  *controls
	spool     *spool
	limits    *sessionlimit.Counter
	passwords *authLink
	sessions  *sessions.Set
	headers   atomic.Int64 // connections that wait for one of the PROXY protocol
}

func newDaemon(home string, s *service) *daemon {
	s.filters = newFilters()
	open := sessions.New(&s.End, s.clock, func(text string) { s.log.Line(logPrefix + "warning: " + text) })
	s.keys = newKeyring()
	queue := newSpool()
	queue.link.Absence.Ending = s.Ending
	passwords := newAuthLink()
	s.auth = passwords
	s.mailboxes = mailboxes.New()
	s.rates = &rates{}
	s.policy = newAsker()
	return &daemon{
		passwords: passwords,
		service:   s,
		controls:  newControls(home),
		spool:     queue,
		limits:    sessionlimit.New(reserved),
		sessions:  open,
	}
}

// run serves until the control channel ends, or another process has taken over.
func (d *daemon) run(channel *parent.Channel) error { return d.sessions.Run(channel, d.frame) }

// frame does what qmail-start says.
func (d *daemon) frame(f parent.Frame) error {
	name, words := parent.ParseListener(f.Name)
	switch {
	case f.Kind == parent.Link && f.Name == parent.Submit:
		return d.spool.relink(f.File)
	case f.Kind == parent.Link && f.Name == parent.Filter:
		return d.filters.relink(f.File)
	case f.Kind == parent.Link && f.Name == parent.Lookup:
		return d.mailboxes.Relink(f.File)
	case f.Kind == parent.Link && f.Name == parent.Policy:
		return d.policy.relink(f.File)
	case f.Kind == parent.Link && f.Name == parent.Sign:
		if err := d.keys.relink(f.File); err != nil {
			d.log.Line(logPrefix + "warning: " + err.Error())
		}
	case f.Kind == parent.Link && f.Name == parent.Auth:
		if err := d.passwords.relink(f.File); err != nil {
			d.log.Line(logPrefix + "warning: " + err.Error())
		}
	case f.Kind == parent.Listener && name == parent.ListenSMTP:
		kind := listener.ParseSMTP(words)
		return d.sessions.Listen(f.File, func(c net.Conn) { d.take(c, kind) })
	case f.Kind == parent.Figures:
		d.takeFigures(f)
	case f.File != nil:
		_ = f.File.Close() // not for us
		d.log.Line(logPrefix + "warning: control channel hands over " + f.Name + ", which is not for qmail-smtpd")
	}
	return nil
}

// take takes a connection that has come.
func (d *daemon) take(c net.Conn, kind listener.SMTP) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		_ = c.Close() // nothing was said yet
		return
	}
	d.open(arrival{tcp, kind, sessions.AddrPort(tcp.RemoteAddr()), sessions.AddrPort(tcp.LocalAddr())})
}

// open begins a session on a new connection, or turns it away.
func (d *daemon) open(a arrival) {
	settings, fresh, err := d.controls.Get(d.clock.Now())
	if fresh && err != nil {
		d.log.Line(logPrefix + "alert: unable to read controls, no mail is taken: " + err.Error())
	}
	if fresh && err == nil {
		for _, warning := range settings.warnings {
			d.log.Line(logPrefix + "warning: " + warning)
		}
	}
	if err != nil {
		d.turnAway(a, replyNoControls)
		return
	}
	if a.kind.Proxy {
		d.proxied(a, settings)
		return
	}
	d.admit(a, settings)
}

// admit begins the session of a client that is known now.
func (d *daemon) admit(a arrival, settings *settings) {
	client := a.remote.Addr()
	rule, err := settings.rules.Match(tcprules.Client{IP: client})
	if err != nil {
		d.log.Line(logPrefix + "alert: control/tcp.smtp.cdb, no mail is taken: " + err.Error())
		d.turnAway(a, replyNoControls)
		return
	}
	if rule.Deny {
		d.countRefusal(replyDenied)
		d.log.Status(logPrefix + "denied ip=" + client.String() + " rule=" + replyDenied.rule)
		d.turnAway(a, replyDenied)
		return
	}
	refused := d.rates.connect(client, newAllowance(rule.Lookup).or(settings.allowance), d.clock.Now())
	if refused.code == 0 {
		refused = tooMany(d.limits.Enter(client, settings.concurrency, settings.concurrencyIP))
	}
	if refused.code != 0 {
		d.countRefusal(refused)
		d.log.Status(fmt.Sprintf("%sturned away ip=%s code=%d rule=%s", logPrefix, client, refused.code, refused.rule))
		d.turnAway(a, refused)
		return
	}
	s := &session{service: d.service, conn: tcpConn{a.conn}, settings: settings, queue: d.spool, client: client, kind: a.kind}
	s.in = newInput(s.conn, d.lent)
	s.peer = newPeer(variables(rule, a.remote, a.local, settings))
	if settings.xclientHosts.Has(client) {
		s.xclients = &xclients{limits: d.limits, remote: a.remote, local: a.local}
	}
	s.number = d.sessions.Enroll(s, a.conn)
	d.countSession(settings.concurrency)
	d.sessions.Go(func() {
		d.serve(s, a.conn)
		if s.client.IsValid() {
			d.limits.Leave(s.client)
		}
	})
}

// turnAway sends one reply and closes. The socket is new: nothing waits. Who
// expects TLS could not read the reply.
func (d *daemon) turnAway(a arrival, r reply) {
	if !a.kind.TLS {
		_ = a.conn.SetWriteDeadline(time.Now().Add(time.Second)) // it is only politeness
		_, _ = a.conn.Write(r.append(nil))
	}
	_ = a.conn.Close()
}

// variables are those of tcpserver: the rule's, else what the socket tells.
func variables(rule tcprules.Decision, remote, local netip.AddrPort, s *settings) func(string) (string, bool) {
	return func(name string) (string, bool) {
		if value, set := rule.Lookup(name); set || rule.Unsets(name) {
			return value, set
		}
		switch name {
		case "TCPREMOTEIP":
			return remote.Addr().String(), true
		case "TCPREMOTEPORT":
			return fmt.Sprint(remote.Port()), true
		case "TCPLOCALIP":
			return local.Addr().String(), true
		case "TCPLOCALPORT":
			return fmt.Sprint(local.Port()), true
		case "TCPLOCALHOST":
			if s.me != "" {
				return s.me, true
			}
			name, _, _ := strings.Cut(s.greeting, " ")
			return name, true
		}
		return "", false
	}
}

// serve runs a session to its end.
func (d *daemon) serve(s *session, c *net.TCPConn) {
	s.began = time.Now()
	var err error
	if s.kind.TLS {
		err = s.handshake()
	}
	s.logConnect()
	if err == nil {
		err = s.run()
	}
	s.logEnd(err)
	if s.tls != nil {
		s.tls.farewell()
	}
	if s.expelled {
		linger(c)
	}
	d.counts.Add(figures.SMTPSessions, 0, -1)
	d.sessions.Close(s)
}

const (
	lingerTime  = 2 * time.Second
	lingerReads = 64
)

// linger lets a client that is cut off while it talks read why: closing a
// socket with unread input would reset the connection and lose the reply.
func linger(c *net.TCPConn) {
	if c.CloseWrite() != nil || c.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	buf := make([]byte, idleBuffer)
	for range lingerReads {
		if _, err := c.Read(buf); err != nil {
			return
		}
	}
}

// tooMany is the reply to a session that cannot be one more; the zero reply is
// consent.
func tooMany(v sessionlimit.Verdict) reply {
	switch v {
	case sessionlimit.Full:
		return replyTooManyConns
	case sessionlimit.FullForAddress:
		return replyTooManyOfIP
	}
	return reply{}
}
