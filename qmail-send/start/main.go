package start

import (
	"errors"
	"fmt"
	"os"
	"os/signal"

	"postrider/internal/handover"
	"postrider/internal/logline"
	"postrider/internal/priv"
	"postrider/internal/queuelock"
	"postrider/internal/wire/parent"
	"postrider/internal/world"
)

// Main is the program: qmail-start [defaultdelivery [logger args...]].
func Main(w world.World) int {
	stderr := logline.NewWriter(w.Stderr)
	defer stderr.Close()
	status, err := start(w, stderr)
	if err != nil {
		stderr.Line("qmail-start: fatal: " + err.Error())
		return exitDeferred
	}
	return status
}

func start(w world.World, stderr *logline.Writer) (int, error) {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, caught...)
	defer signal.Stop(signals)

	handed, err := takeHandOver(w.Environ, os.Getpid())
	asked := handover.IsCheck(w.Environ)
	if err == nil && asked {
		err = couldServe(w, handed)
	}
	switch {
	case asked && err != nil:
		stderr.Line(stays + err.Error())
		return exitDeferred, nil
	case asked:
		return exitReady, nil
	case err != nil:
		return 0, err
	}
	found, err := prepare(w, stderr.Line)
	if err != nil {
		return 0, err
	}
	set := found.settings
	set.handed = handed
	if set.inherited, err = takeInherited(w.Environ, os.Getpid()); err != nil {
		return 0, err
	}
	return serve(w, set, found.identities, stderr, signals)
}

// couldServe tells whether this program could go on from a hand-over.
func couldServe(w world.World, handed *inheritance) error {
	found, err := prepare(w, func(string) {})
	if err != nil {
		return err
	}
	return installed(found.settings.plan(sockets{}), w.Home, found.policy)
}

// prepared is what a start needs to know.
type prepared struct {
	settings
	policy     priv.Policy
	identities map[string]priv.Identity
}

// prepare reads everything that a start depends on, and changes nothing.
func prepare(w world.World, warn func(line string)) (p prepared, err error) {
	in, err := priv.Examine(w.Home)
	if err != nil {
		return p, err
	}
	set, err := readSettings(w)
	if err != nil {
		return p, err
	}
	if err := set.readFiles(in); err != nil {
		return p, err
	}
	p.policy, err = in.Policy()
	if err != nil {
		return p, err
	}
	if set.wrapped && len(set.dkimKeys) > 0 {
		warn("qmail-start: warning: control/dkimsign does not count for the program that QMAILREMOTE names: mail goes unsigned")
	}
	if warning := p.policy.Warning(); warning != "" {
		warn("qmail-start: warning: " + warning)
	}
	set.setuidPrograms = p.policy.SetuidPrograms
	if p.identities, err = identify(in); err != nil {
		return p, err
	}
	if in.Private {
		warn(fmt.Sprintf("qmail-start: warning: %s belongs to uid %d, so every program runs as that user: "+
			"they are not separated from each other, and only that user gets mail", w.Home, in.UID))
	}
	p.settings = set
	return p, nil
}

// serve runs all that the settings name, each as its identity, or all as this
// process's own user if there are none: from the beginning, or from where a
// predecessor has left off.
func serve(w world.World, set settings, identities map[string]priv.Identity, stderr *logline.Writer, signals chan os.Signal) (int, error) {
	var spoolOwner *priv.Identity
	if id, separated := identities["qmail-spool"]; separated {
		spoolOwner = &id
	}
	own, err := set.obtain(w, spoolOwner, stderr, signals)
	defer own.close()
	if err != nil || own.lock == nil {
		return 0, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()

	h := &machine{home: w.Home, null: null, sendLog: w.Stdout, log: w.Stderr, identities: identities,
		setuidPrograms: set.setuidPrograms}
	s := newSupervisor(set.plan(own.public), h, w.Clock, stderr.Line)
	s.estate, s.drainLimit = own, set.drainLimit
	s.newLogger = set.handed != nil && own.logger != nil && own.logger.isOwn(w.Home)
	flush := stderr.Flush
	if own.logger != nil {
		flush = s.attachLogger(h, own.logger, stderr)
	}
	s.successor = newHeir(w, h, signals, flush)
	var counted []handover.Area
	if set.handed != nil {
		counted = set.handed.Areas
	}
	if err := s.openAreas(counted); err != nil {
		s.log("qmail-start: warning: nothing is counted: " + err.Error())
	}
	if m := s.plan.member(reader); m != nil {
		s.openMetrics(w.Home, m)
	}
	sockets := set.inherited
	if set.handed != nil {
		taken, err := set.handed.sockets()
		if err != nil {
			return 0, err
		}
		sockets = append(sockets, taken...)
	}
	endpoints, err := s.adopt(sockets, set.endpoints)
	if err != nil {
		return 0, err
	}
	if len(endpoints) > 0 {
		s.want(endpoints)
	}
	if set.handed != nil {
		if err := s.takeMembers(set.handed.Members, openProcess); err != nil {
			return 0, err
		}
		s.renewal = newRenewal(s.plan)
	}
	status := s.run(signals)
	s.closeLog()
	return status, nil
}

// obtain makes the estate of a suite that begins, or takes over that of the
// predecessor. Without an error and without a lock a signal has ended the wait.
func (set settings) obtain(w world.World, spoolOwner *priv.Identity, stderr *logline.Writer, signals <-chan os.Signal) (e estate, err error) {
	if set.handed != nil {
		return set.handed.estate(w, set)
	}
	e, err = establish(w, spoolOwner, stderr, signals)
	if err == nil && e.lock != nil && set.hasLogger() {
		e.logger, err = newLogger(w, set)
	}
	return e, err
}

// plan returns the plan with what each member is given at its start.
func (set settings) plan(public sockets) *plan {
	p := newPlan(set)
	spool, lspawn := p.member("qmail-spool"), p.member("qmail-lspawn")
	spool.gifts = []parent.Frame{{Kind: parent.Listener, Name: parent.Public, File: public.public}}
	send := p.member("qmail-send")
	send.gifts = append(send.gifts, parent.Frame{Kind: parent.Listener, Name: parent.ListenerName(parent.Manage, set.networkUsers), File: public.manage})
	lspawn.gifts = []parent.Frame{
		{Kind: parent.Environment, Data: set.environ},
		{Kind: parent.DefaultDelivery, Data: set.delivery},
	}
	if lookup := p.member("qmail-lookup"); lookup != nil {
		lookup.gifts = []parent.Frame{{Kind: parent.DefaultDelivery, Data: set.delivery}}
	}
	if vlookup := p.member("qmail-vlookup"); vlookup != nil {
		vlookup.gifts = []parent.Frame{{Kind: parent.DefaultDelivery, Data: set.delivery}}
	}
	if set.rewriting != nil {
		frame := parent.Frame{Kind: parent.Rewriting, Data: set.rewriting}
		for _, m := range []*member{p.member("qmail-send"), p.member("qmail-lookup")} {
			if m != nil {
				m.gifts = append(m.gifts, frame)
			}
		}
	}
	return p
}

// identify looks up all users of the table; none in a private installation.
func identify(in priv.Installation) (map[string]priv.Identity, error) {
	if in.Private {
		return nil, nil
	}
	if err := priv.CheckUsers(); err != nil {
		return nil, err
	}
	identities := make(map[string]priv.Identity)
	for _, role := range append(priv.Roles(), priv.Logger()) {
		if role.User == "" || role.Program == "qmail-start" {
			continue
		}
		role, err := in.Chosen(role)
		if err != nil {
			return nil, err
		}
		id, err := role.Identity()
		if err != nil {
			return nil, err
		}
		identities[role.Program] = id
	}
	return identities, nil
}

// waitForLock takes the queue's lock, waiting for a predecessor that stops. It
// returns nothing if a signal ends the wait.
func waitForLock(w world.World, owner *priv.Identity, log *logline.Writer, signals <-chan os.Signal) (*os.File, error) {
	f, err := openLock(w.Home, owner)
	if err != nil {
		return nil, err
	}
	begun := w.Clock.Now()
	err = queuelock.Await(f, w.Clock, signals, func() {
		log.Line(fmt.Sprintf("qmail-start: warning: %v; trying again for %v", errLocked, queuelock.Patience))
	})
	switch {
	case err == nil:
		return f, nil
	case !errors.Is(err, queuelock.ErrLocked):
		err = &os.PathError{Op: "lock", Path: f.Name(), Err: err}
	case w.Clock.Now().Before(begun.Add(queuelock.Patience)):
		err = nil // a signal
	default:
		err = errLocked
	}
	_ = f.Close() // a directory
	return nil, err
}

// attachLogger puts a log program in front of all others, and returns what
// writes our own lines that wait.
func (s *supervisor) attachLogger(h *machine, l *logger, stderr *logline.Writer) (flush func()) {
	h.logger, h.sendLog, h.log = l, l.write, l.write
	own := logline.NewWriter(l.write)
	s.log = own.Line
	s.closeLog = func() {
		s.log = stderr.Line
		own.Close()
		l.close()
	}
	m := &member{name: "logger " + l.name, role: priv.Logger(), order: stopLogger}
	s.plan.members = append([]*member{m}, s.plan.members...)
	return own.Flush
}
