package qmtp

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"postrider/internal/control"
	"postrider/internal/mailboxes"
	"postrider/internal/sessionlimit"
	"postrider/internal/tcprules"
	"postrider/internal/wire/parent"
)

const (
	// drainTime is how long open sessions may go on after qmail-start has told
	// the daemon to stop.
	drainTime = 10 * time.Second
	// cutTime is how long sessions that are cut off then have to end.
	cutTime = time.Second

	acceptPause    = 10 * time.Millisecond
	maxAcceptPause = time.Second
	// reserved descriptors are for mail on its way to the queue.
	reserved = maxCommits + maxStreams + 64
)

// daemon serves the listening sockets that qmail-start hands over.
type daemon struct {
	*service
	controls *control.Cached[*settings]
	spool    *spool
	limits   *sessionlimit.Counter
	// mailboxes knows who has one; nil: by QMQP, nobody is asked.
	mailboxes *mailboxes.Checker
	drain     time.Duration // drainTime
	// replaced is called once another process serves the listeners.
	replaced func()
	leaving  atomic.Bool // it does
	left     atomic.Bool // and nobody is connected to this one any more

	mu        sync.Mutex
	listeners []net.Listener
	sessions  map[*session]net.Conn
	last      uint64 // number of the last session
	running   sync.WaitGroup
}

func newDaemon(home string, s *service) *daemon {
	s.filterMissing, s.ending = true, make(chan struct{})
	load := func() (*settings, error) { return s.protocol.load(home) }
	d := &daemon{
		service:  s,
		controls: control.NewCached(control.Dir(home+"/control"), controlFiles[:], load),
		spool:    newSpool(s.lent),
		limits:   sessionlimit.New(reserved),
		drain:    drainTime,
		sessions: make(map[*session]net.Conn),
	}
	d.spool.link.Absence.Ending = d.ending
	if s.protocol.verifies {
		d.mailboxes = mailboxes.New()
	}
	return d
}

// run serves until the control channel ends, and then drains; or until all
// sessions have ended after another process has taken over the listeners.
func (d *daemon) run(channel *parent.Channel) error {
	d.replaced = func() {
		d.leave()
		_ = channel.Close() // it is over
	}
	err := channel.Run(d.frame)
	if d.left.Load() {
		return nil
	}
	d.stop()
	return err
}

// leave lets another process take the connections that come from now on. Who
// is connected is served to the end.
func (d *daemon) leave() {
	d.leaving.Store(true)
	d.closeListeners()
	d.running.Wait() // what accepts is among that
	d.left.Store(true)
}

func (d *daemon) closeListeners() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.listeners {
		_ = l.Close() // nothing is lost with it
	}
}

// frame does what qmail-start says.
func (d *daemon) frame(f parent.Frame) error {
	name, _ := parent.ParseListener(f.Name)
	switch {
	case f.Kind == parent.Link && f.Name == parent.Submit:
		return d.spool.relink(f.File)
	case f.Kind == parent.Link && f.Name == parent.Lookup && d.mailboxes != nil:
		return d.mailboxes.Relink(f.File)
	case f.Kind == parent.Listener && name == d.protocol.listener:
		l, err := net.FileListener(f.File)
		_ = f.File.Close() // the listener has a descriptor of its own
		if err != nil {
			return fmt.Errorf("listening socket: %w", err)
		}
		d.mu.Lock()
		d.listeners = append(d.listeners, l)
		d.mu.Unlock()
		d.running.Go(func() { d.accept(l) })
	case f.Kind == parent.Figures:
		d.takeFigures(f)
	case f.Kind == parent.Drain:
		go d.replaced()
	case f.File != nil:
		_ = f.File.Close() // not for us
		d.log.Line(d.prefix() + "warning: control channel hands over " + f.Name + ", which is not for " + d.protocol.program)
	}
	return nil
}

// accept takes connections until the listener is closed.
func (d *daemon) accept(l net.Listener) {
	pause := acceptPause
	for {
		c, err := l.Accept()
		if d.stopping.Load() {
			if err == nil {
				_ = c.Close() // nothing was said yet
			}
			return
		}
		if err != nil && d.leaving.Load() {
			return
		}
		if err != nil {
			// Descriptors or memory are short: they come back.
			d.log.Line(d.prefix() + "warning: accept: " + err.Error())
			wake, stop := d.clock.At(d.clock.Now().Add(pause))
			<-wake
			stop()
			pause = min(2*pause, maxAcceptPause)
			continue
		}
		pause = acceptPause
		if !d.open(c) {
			_ = c.Close() // neither protocol has a way to say why
		}
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
	remote, local := addrPort(c.RemoteAddr()), addrPort(c.LocalAddr())
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
	d.enroll(s, c)
	d.countSession(settings.concurrency)
	d.running.Go(func() {
		d.serve(s, c)
		d.limits.Leave(client)
	})
	return true
}

func (d *daemon) denied(client netip.Addr, rule string) {
	d.countRefusal(rule)
	d.log.Status(d.prefix() + "denied ip=" + client.String() + " rule=" + rule)
}

// addrPort returns the address of a TCP socket, an IPv4 one as such.
func addrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := t.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

func (d *daemon) enroll(s *session, c net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last++
	s.number = d.last
	d.sessions[s] = c
}

// serve runs a session to its end.
func (d *daemon) serve(s *session, c net.Conn) {
	s.start()
	s.logConnect()
	s.logEnd(s.run())
	d.mu.Lock()
	delete(d.sessions, s)
	d.mu.Unlock()
	d.countEnd()
	_ = c.Close() // all that mattered was written before
}

func (d *daemon) turnedAway(client netip.Addr, rule string) {
	d.countRefusal(rule)
	d.log.Status(d.prefix() + "turned away ip=" + client.String() + " rule=" + rule)
}

// stop closes the listeners, lets sessions with mail in hand finish, and cuts
// off what is left.
func (d *daemon) stop() {
	d.stopping.Store(true)
	close(d.ending)
	d.closeListeners()
	d.cut(func(s *session) bool { return s.atBoundary.Load() })
	if d.wait(d.drain) {
		return
	}
	d.cutOff.Store(true)
	d.cut(func(*session) bool { return true })
	d.wait(cutTime)
}

// cut ends what the given sessions wait for.
func (d *daemon) cut(which func(*session) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for s, c := range d.sessions {
		if which(s) {
			_ = c.SetReadDeadline(time.Unix(1, 0)) // fails only for a closed one
		}
	}
}

// wait waits until all sessions have ended, or for the given time.
func (d *daemon) wait(limit time.Duration) bool {
	ended := make(chan struct{})
	go func() {
		d.running.Wait()
		close(ended)
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-ended:
		return true
	case <-timer.C:
		return false
	}
}
