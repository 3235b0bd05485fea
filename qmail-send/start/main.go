package start

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

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
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGALRM, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)

	in, err := priv.Examine(w.Home)
	if err != nil {
		return 0, err
	}
	set, err := readSettings(w)
	if err != nil {
		return 0, err
	}
	if set.inherited, err = takeInherited(w.Environ, os.Getpid()); err != nil {
		return 0, err
	}
	if err := set.readFiles(in); err != nil {
		return 0, err
	}
	policy, err := in.Policy()
	if err != nil {
		return 0, err
	}
	if set.wrapped && len(set.dkimKeys) > 0 {
		stderr.Line("qmail-start: warning: control/dkimsign does not count for the program that QMAILREMOTE names: mail goes unsigned")
	}
	if warning := policy.Warning(); warning != "" {
		stderr.Line("qmail-start: warning: " + warning)
	}
	set.setuidPrograms = policy.SetuidPrograms
	identities, err := identify(in)
	if err != nil {
		return 0, err
	}
	if in.Private {
		stderr.Line(fmt.Sprintf("qmail-start: warning: %s belongs to uid %d, so every program runs as that user: "+
			"they are not separated from each other, and only that user gets mail", w.Home, in.UID))
	}
	return serve(w, set, identities, stderr, signals)
}

// serve runs all that the settings name, each as its identity, or all as this
// process's own user if there are none.
func serve(w world.World, set settings, identities map[string]priv.Identity, stderr *logline.Writer, signals <-chan os.Signal) (int, error) {
	var spoolOwner *priv.Identity
	if id, separated := identities["qmail-spool"]; separated {
		spoolOwner = &id
	}
	lock, err := waitForLock(w, spoolOwner, stderr, signals)
	if err != nil || lock == nil {
		return 0, err
	}
	defer lock.Close()
	public, err := listenPublic(w.Home, spoolOwner)
	defer public.close()
	if err != nil {
		return 0, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()

	h := &machine{home: w.Home, null: null, sendLog: w.Stdout, log: w.Stderr, identities: identities,
		setuidPrograms: set.setuidPrograms}
	s := newSupervisor(set.plan(public), h, w.Clock, stderr.Line)
	if set.logger != nil || set.logsJSON {
		if err := s.attachLogger(h, w, set, stderr); err != nil {
			return 0, err
		}
	}
	endpoints, err := s.adopt(set.inherited, set.endpoints)
	if err != nil {
		return 0, err
	}
	if len(endpoints) > 0 {
		s.want(endpoints)
	}
	status := s.run(signals)
	s.closeLog()
	return status, nil
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

// attachLogger puts a log program in front of all others.
func (s *supervisor) attachLogger(h *machine, w world.World, set settings, stderr *logline.Writer) error {
	l, err := newLogger(w, set.logger, set.logsJSON)
	if err != nil {
		return err
	}
	h.logger, h.sendLog, h.log = l, l.write, l.write
	own := logline.NewWriter(l.write)
	s.log = own.Line
	s.closeLog = func() {
		s.log = stderr.Line
		own.Close()
		l.close()
	}
	m := &member{name: "logger " + l.args[0], role: priv.Logger(), order: stopLogger}
	s.plan.members = append([]*member{m}, s.plan.members...)
	return nil
}
