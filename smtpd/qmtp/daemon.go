package qmtp

import (
	"net"
	"net/netip"

	"postrider/internal/control"
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
	controls *control.Cached[*settings]
	spool    *spool
	limits   *sessionlimit.Counter
	// mailboxes knows who has one; nil: by QMQP, nobody is asked.
	mailboxes *mailboxes.Checker
	sessions  *sessions.Set
}

func newDaemon(home string, s *service) *daemon {
	s.filterMissing = true
	load := func() (*settings, error) { return s.protocol.load(home) }
	d := &daemon{
		service:  s,
		controls: control.NewCached(control.Dir(home+"/control"), controlFiles[:], load),
		spool:    newSpool(s.lent),
		limits:   sessionlimit.New(reserved),
		sessions: sessions.New(&s.End, s.clock, func(text string) { s.log.Line(s.prefix() + "warning: " + text) }),
	}
	d.spool.link.Absence.Ending = d.Ending
	if s.protocol.verifies {
		d.mailboxes = mailboxes.New()
	}
	return d
}

// run serves until the control channel ends, or another process has taken over.
func (d *daemon) run(channel *parent.Channel) error { return d.sessions.Run(channel, d.frame) }

// frame does what qmail-start says.
func (d *daemon) frame(f parent.Frame) error {
	name, _ := parent.ParseListener(f.Name)
	switch {
	case f.Kind == parent.Link && f.Name == parent.Submit:
		return d.spool.relink(f.File)
	case f.Kind == parent.Link && f.Name == parent.Lookup && d.mailboxes != nil:
		return d.mailboxes.Relink(f.File)
	case f.Kind == parent.Listener && name == d.protocol.listener:
		return d.sessions.Listen(f.File, d.take)
	case f.Kind == parent.Figures:
		d.takeFigures(f)
	case f.File != nil:
		_ = f.File.Close() // not for us
		d.log.Line(d.prefix() + "warning: control channel hands over " + f.Name + ", which is not for " + d.protocol.program)
	}
	return nil
}

// take takes a connection that has come.
func (d *daemon) take(c net.Conn) {
	if !d.open(c) {
		_ = c.Close() // neither protocol has a way to say why
	}
}

// look returns the settings, or nil if no mail may be taken.
func (d *daemon) look() *settings {
	s, fresh, err := d.controls.Get(d.clock.Now())
	if err != nil {
		if fresh {
			d.log.Line(d.prefix() + "alert: unable to read controls, no mail is taken: " + err.Error())
		}
		return nil
	}
	if fresh {
		for _, warning := range s.warnings {
			d.log.Line(d.prefix() + "warning: " + warning)
		}
	}
	return s
}

// open begins a session on a new connection, or says that there is to be none.
func (d *daemon) open(c net.Conn) bool {
	settings := d.look()
	if settings == nil {
		return false
	}
	remote, local := sessions.AddrPort(c.RemoteAddr()), sessions.AddrPort(c.LocalAddr())
	client := remote.Addr()
	rule, err := settings.rules.Match(tcprules.Client{IP: client})
	switch {
	case err != nil:
		d.log.Line(d.prefix() + "alert: control/tcp.smtp.cdb, no mail is taken: " + err.Error())
		return false
	case rule.Deny:
		d.denied(client, "tcp.smtp")
		return false
	case !settings.clients.Has(client):
		d.denied(client, "qmqphosts")
		return false
	}
	switch d.limits.Enter(client, settings.concurrency, settings.concurrencyIP) {
	case sessionlimit.Full:
		d.turnedAway(client, d.protocol.concurrency)
		return false
	case sessionlimit.FullForAddress:
		d.turnedAway(client, d.protocol.concurrency+"ip")
		return false
	}
	s := &session{service: d.service, conn: c, client: client, settings: settings, queue: d.spool, mailboxes: d.mailboxes}
	s.named.Who.Addr = sessionlimit.Customer(client)
	s.peer = newPeer(variables(rule, remote, local, settings.me))
	s.number = d.sessions.Enroll(s, c)
	d.countSession(settings.concurrency)
	d.sessions.Go(func() {
		d.serve(s)
		d.limits.Leave(client)
	})
	return true
}

func (d *daemon) denied(client netip.Addr, rule string) {
	d.countRefusal(rule)
	d.log.Status(d.prefix() + "denied ip=" + client.String() + " rule=" + rule)
}

// serve runs a session to its end.
func (d *daemon) serve(s *session) {
	s.start()
	s.logConnect()
	s.logEnd(s.run())
	d.countEnd()
	d.sessions.Close(s)
}

func (d *daemon) turnedAway(client netip.Addr, rule string) {
	d.countRefusal(rule)
	d.log.Status(d.prefix() + "turned away ip=" + client.String() + " rule=" + rule)
}
