package qmailsend

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"postrider/internal/clock"
	"postrider/internal/control"
	"postrider/internal/logline"
	"postrider/internal/queuedir"
	"postrider/internal/queuelock"
	"postrider/internal/route"
	"postrider/internal/wire/parent"
	"postrider/internal/world"
)

// Exit codes.
const (
	exitOK      = 0
	exitMisused = 100 // not started by qmail-start
	exitTrouble = 111
)

// garbage is how much of it there may be, in percent of what is kept: a message
// that waits takes 215 bytes, and with that less than 300 of the machine
// (invariant 4). The collector's work for one delivery cannot be measured beside
// the rest.
const garbage = 25

// Main is qmail-send.
func Main(w world.World) int {
	channel, err := parent.Inherited()
	if err != nil {
		fmt.Fprintf(w.Stderr, "qmail-send: fatal: %v\n", err)
		return exitMisused
	}
	log := logline.NewWriter(w.Stderr)
	defer log.Close()
	debug.SetGCPercent(garbage)
	return serve(w, log, channel)
}

// serve runs the scheduler until it is told to exit.
func serve(w world.World, log *logline.Writer, channel *parent.Channel) int {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGTERM, unix.SIGALRM, unix.SIGHUP)
	defer signal.Stop(signals)

	dir := control.Dir(w.Home + "/control")
	set, err := readSettings(dir)
	if err != nil {
		return cannotStart(log, "unable to read controls", err)
	}
	layout := queuedir.At(w.Home)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, unix.SIGTERM)
	lock, reason, err := lockQueue(layout, w.Clock, stop, func() {
		log.Line(fmt.Sprintf("warning: another qmail-send has not left this queue yet; waiting for up to %v", queuelock.Patience))
	})
	signal.Stop(stop)
	if err != nil {
		return cannotStart(log, reason, err)
	}
	defer lock.Close() // the lock ends with the process in any case
	s, err := newScheduler(w.Clock, log, layout, dir, set)
	if err != nil {
		return cannotStart(log, "unable to switch to queue directory", err)
	}
	go s.follow(channel)
	go s.obey(signals, set.routes)
	s.run()
	return exitOK
}

// cannotStart logs qmail's line (spec 2.1), and the cause on a line of its own.
func cannotStart(log *logline.Writer, reason string, err error) int {
	if err != nil && !errors.Is(err, queuelock.ErrLocked) {
		log.Line("warning: " + err.Error())
	}
	log.Line("alert: cannot start: " + reason)
	return exitTrouble
}

// lockQueue takes the lock that keeps a second qmail-send, ours or qmail's
// own, from this queue. A former one whose parent was killed has it until its
// deliveries are done.
func lockQueue(l queuedir.Layout, c clock.Clock, stop <-chan os.Signal, slow func()) (f *os.File, reason string, err error) {
	f, err = os.OpenFile(l.SendLock(), os.O_WRONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, "unable to open mutex", err
	}
	if err := queuelock.Await(f, c, stop, slow); err != nil {
		_ = f.Close() // not written to
		return nil, "qmail-send is already running", err
	}
	return f, "", nil
}

// obey turns signals into events (spec 2.7). routes are those of the start.
func (s *scheduler) obey(signals <-chan os.Signal, routes *route.Table) {
	for {
		select {
		case sig := <-signals:
			switch sig {
			case unix.SIGTERM:
				s.post(func() { s.terminate(0) })
			case unix.SIGALRM:
				s.post(s.flush)
			case unix.SIGHUP:
				s.reread(routes)
			}
		case <-s.stopped:
			return
		}
	}
}

// follow takes links from the parent until it goes away: then running
// deliveries have a limited time.
func (s *scheduler) follow(channel *parent.Channel) {
	err := channel.Run(func(f parent.Frame) error {
		s.frame(f)
		return nil
	})
	s.post(func() {
		if err != nil {
			s.logf("alert: control channel: %v", err)
		}
		s.terminate(exitLimit)
	})
}

// frame begins to use a link. One that cannot be used is logged and dropped:
// its peer sees the end, and gets a fresh one.
func (s *scheduler) frame(f parent.Frame) {
	if f.Kind == parent.Pulse {
		taken := make(chan struct{})
		s.post(func() { s.beginCensus(); close(taken) })
		select {
		case <-taken:
		case <-s.stopped:
		}
		return
	}
	if f.Kind == parent.Figures {
		s.takeFigures(f)
		return
	}
	if f.Kind == parent.Rewriting {
		s.beginRewriting(f.Data)
	}
	if f.File == nil {
		return
	}
	if name, strangers := parent.ParseListener(f.Name); f.Kind == parent.Listener && name == parent.Manage {
		s.attachManage(f.File, strangers)
		return
	}
	var err error
	switch number, isRemote := remoteNumber(f.Name); {
	case f.Kind != parent.Link:
		err = errors.New("not a link")
	case f.Name == parent.Entries:
		err = s.attachSpool(f.File)
	case f.Name == parent.Submit:
		err = s.attachSubmit(f.File)
	case f.Name == parent.SpawnLocal:
		err = s.attachAgent(f.Name, f.File, local, 0)
	case isRemote:
		err = s.attachAgent(f.Name, f.File, remote, number)
	default:
		err = errors.New("unknown link")
	}
	if err != nil {
		_ = f.File.Close() // nothing was written
		s.post(func() { s.logf("alert: link %s from the parent: %v", f.Name, err) })
	}
}

// maxRemotes bounds the number in the name of a remote worker's link.
const maxRemotes = 1024

func remoteNumber(name string) (int, bool) {
	digits, found := strings.CutPrefix(name, strings.TrimSuffix(parent.SpawnRemote(0), "0"))
	if !found {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil && n >= 0 && n < maxRemotes && parent.SpawnRemote(n) == name
}

// attachSubmit begins to use the channel for bounces; what waited for one goes
// on at once.
func (s *scheduler) attachSubmit(f *os.File) error {
	if err := s.submits.Attach(f); err != nil {
		return err
	}
	s.post(func() { s.waiting[settling].allDue(s.now()) })
	return nil
}
