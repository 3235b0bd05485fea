package smtpd

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"postrider/internal/figures"
	"postrider/internal/listener"
	"postrider/internal/mailboxes"
	"postrider/internal/sessionlimit"
	"postrider/internal/tcprules"
	"postrider/internal/wire/parent"
)

const (
	// drainTime is how long open sessions may go on after qmail-start has told
	// the daemon to stop.
	drainTime = 10 * time.Second
	// cutTime is how long sessions that are cut off then have to say so.
	cutTime = time.Second
	// reserved descriptors are for mail on its way to the queue.
	reserved = maxCommits + maxStreams + 64
)

// daemon serves the listening sockets that qmail-start hands over.
type daemon struct {
	*service
	controls  *controls
	spool     *spool
	limits    *sessionlimit.Counter
	passwords *authLink
	drain     time.Duration // drainTime
	// replaced is called once another process serves the listeners.
	replaced func()
	leaving  atomic.Bool  // it does
	left     atomic.Bool  // and nobody is connected to this one any more
	headers  atomic.Int64 // connections that wait for one of the PROXY protocol

	mu        sync.Mutex
	listeners []net.Listener
	sessions  map[*session]net.Conn
	last      uint64 // number of the last session
	running   sync.WaitGroup
}

func newDaemon(home string, s *service) *daemon {
	s.filters = newFilters()
	s.ending = make(chan struct{})
	s.keys = newKeyring()
	queue := newSpool()
	queue.absence.Ending = s.ending
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
		drain:     drainTime,
		sessions:  make(map[*session]net.Conn),
	}
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
		l, err := net.FileListener(f.File)
		_ = f.File.Close() // the listener has a descriptor of its own
		if err != nil {
			return fmt.Errorf("listening socket: %w", err)
		}
		d.listen(l, listener.ParseSMTP(words))
	case f.Kind == parent.Figures:
		d.takeFigures(f)
	case f.Kind == parent.Drain:
		go d.replaced()
	case f.File != nil:
		_ = f.File.Close() // not for us
		d.log.Line(logPrefix + "warning: control channel hands over " + f.Name + ", which is not for qmail-smtpd")
	}
	return nil
}

// listen accepts connections on l from now on.
func (d *daemon) listen(l net.Listener, kind listener.SMTP) {
	d.mu.Lock()
	d.listeners = append(d.listeners, l)
	d.mu.Unlock()
	d.running.Go(func() { d.accept(l, kind) })
}

// accept takes connections until the listener is closed.
func (d *daemon) accept(l net.Listener, kind listener.SMTP) {
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
			d.log.Line(logPrefix + "warning: accept: " + err.Error())
			wake, stop := d.clock.At(d.clock.Now().Add(pause))
			<-wake
			stop()
			pause = min(2*pause, maxAcceptPause)
			continue
		}
		pause = acceptPause
		tcp, ok := c.(*net.TCPConn)
		if !ok {
			_ = c.Close() // nothing was said yet
			continue
		}
		d.open(arrival{tcp, kind, addrPort(tcp.RemoteAddr()), addrPort(tcp.LocalAddr())})
	}
}

const (
	acceptPause    = 10 * time.Millisecond
	maxAcceptPause = time.Second
)

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
	d.enroll(s, a.conn)
	d.countSession(settings.concurrency)
	d.running.Go(func() {
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
	d.mu.Lock()
	delete(d.sessions, s)
	d.mu.Unlock()
	d.counts.Add(figures.SMTPSessions, 0, -1)
	_ = c.Close() // all that mattered was written before
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
