package spool

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/accounts"
	"postrider/internal/clock"
	"postrider/internal/control"
	"postrider/internal/durable"
	"postrider/internal/fdpass"
	"postrider/internal/figures"
	"postrider/internal/logline"
	"postrider/internal/queuedir"
	"postrider/internal/queuelock"
	"postrider/internal/wire/parent"
	"postrider/internal/world"
)

// Exit codes.
const (
	exitDone      = 0
	exitNotOurs   = 100 // not started by qmail-start
	exitTemporary = 111 // cannot work now; qmail-start tries again
)

const (
	drainPatience = 10 * time.Second
	dropPatience  = 2 * time.Second // behind that, for a file of drop/
	// waitedFor is how long messages that are arriving hold up a successor that
	// has come already, since qmail-start was killed: nobody's mail is taken
	// meanwhile.
	waitedFor = time.Second
	// lullLimit is how long messages that arrive slowly may put off the moment
	// at which another process takes the queue.
	lullLimit     = 45 * time.Second
	housekeeping  = time.Minute
	sweepInterval = time.Hour
)

// Main is qmail-spool.
func Main(w world.World) int {
	log := logline.NewWriter(w.Stderr)
	defer log.Close()
	say := func(line string) { log.Line("qmail-spool: " + line) }

	channel, err := parent.Inherited()
	if err != nil {
		say("fatal: " + err.Error())
		return exitNotOurs
	}
	limitMemory()
	d, err := open(w, say)
	if err != nil {
		say("fatal: " + err.Error())
		return exitTemporary
	}
	if err := d.run(channel); err != nil {
		say("fatal: " + err.Error())
		return exitTemporary
	}
	return exitDone
}

// daemon is a running qmail-spool.
type daemon struct {
	lock      *os.File // held as long as we run
	store     *Store
	server    *server
	drop      *dropbox
	log       func(string)
	listeners []*os.File
	links     latest
	told      hearers
	// replaced is called when another process is to take the queue.
	replaced func()
}

// open takes the queue: the lock, what a former process left, and everything
// it may not have made durable.
func open(w world.World, log func(string)) (*daemon, error) {
	queue := queuedir.At(w.Home)
	held, err := lock(queue.SpoolLock(), w.Clock, log)
	if err != nil {
		return nil, err
	}
	who, exempt, err := callers(w.Home)
	if err != nil {
		return nil, err
	}
	limits, err := readLimits(control.Dir(w.Home + "/control"))
	if err != nil {
		return nil, err
	}
	tree, err := durable.OpenTree(queue.Root)
	if err != nil {
		return nil, err
	}
	group, err := durable.OpenGroup(queue.Root)
	if err != nil {
		return nil, err
	}
	if err := makeBuckets(queue); err != nil {
		return nil, err
	}
	d := &daemon{lock: held, store: NewStore(tree, group, w.Clock, log), log: log}
	group.Watch = d.store.countRound
	if err := d.store.recover(); err != nil {
		return nil, err
	}
	d.server = newServer(d.store, d.links.announce, log, connectionLimit(), who)
	d.server.shares = newShares(w.Clock, spaceOf(queue.Root), exempt)
	d.server.pressure = newPressure(w.Clock, limits, leftOf(queue.Root), d.store.entries.Load, log)
	d.drop, err = openDropbox(queue.Drop(), d.server)
	d.store.holdQueries() // until the dropbox runs, and has settled
	return d, err
}

// lock makes sure that no other qmail-spool works on this queue. A former one
// whose parent was killed has the lock until its clients are served.
func lock(path string, c clock.Clock, log func(string)) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	if err = queuelock.Try(f); errors.Is(err, queuelock.ErrLocked) {
		_ = queuelock.Want(f, true) // or else the former one takes all its time
		err = queuelock.Await(f, c, nil, func() {
			log(fmt.Sprintf("warning: another qmail-spool has not left this queue yet; waiting for up to %v", queuelock.Patience))
		})
	}
	if err == nil {
		err = queuelock.Want(f, false)
	}
	if err != nil {
		_ = f.Close() // not written to
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

// callers returns the words of the Received line for a uid of the public
// socket (spec section 1.4). Where one user is every role the number is told.
// Who is exempt from a stranger's share is root, who brings mail from the
// network or from aliases, and who is every role.
func callers(home string) (words func(uint32) string, exempt func(uint32) bool, err error) {
	named := make(map[uint32]string)
	var st unix.Stat_t
	if err := unix.Stat(home, &st); err != nil {
		return nil, nil, &os.PathError{Op: "stat", Path: home, Err: err}
	}
	if st.Uid == 0 {
		for user, text := range map[string]string{"qmaild": fromNetwork, "alias": "by alias"} {
			account, err := accounts.Lookup(user)
			if err != nil {
				return nil, nil, fmt.Errorf("unable to find user %s: %w", user, err)
			}
			named[account.UID] = text
		}
	}
	words = func(uid uint32) string {
		if text, found := named[uid]; found {
			return text
		}
		return "by uid " + strconv.FormatUint(uint64(uid), 10)
	}
	exempt = func(uid uint32) bool { return uid == st.Uid || named[uid] != "" }
	return words, exempt, nil
}

// makeBuckets makes the directories of accepted messages that are missing.
// Those that are new are durable with the sync of recover.
func makeBuckets(queue queuedir.Layout) error {
	for i := range queuedir.Buckets {
		err := os.Mkdir(queue.NewDir(queuedir.BucketName(i)), 0o750)
		if err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}

// recover brings the queue of a former process, which may have been killed,
// into the state that the store promises.
func (s *Store) recover() error {
	ticket := s.group.Begin()
	s.answered = s.foundAnswered()
	if err := s.clearTmp(); err != nil {
		return fmt.Errorf("clear tmp: %w", err)
	}
	// An entry may be visible that was never synced: nobody may deliver it
	// while a power cut could still take it back.
	if err := s.group.All(ticket); err != nil {
		return err
	}
	if !s.answered {
		s.answered = s.rememberOthers() == 0
	}
	return nil
}

// run serves until the control channel ends.
func (d *daemon) run(channel *parent.Channel) error {
	stop := make(chan struct{})
	go d.housekeep(stop)
	dropEnded := make(chan struct{})
	go func() {
		defer close(dropEnded)
		d.drop.run(stop)
	}()
	go d.server.pressure.watch(stop, d.told.tell)
	var left atomic.Bool
	d.replaced = func() {
		d.server.awaitLull(lullLimit)
		left.Store(true)
		_ = channel.Close() // it is over
	}
	err := channel.Run(d.frame)
	if left.Load() {
		err = nil
	}
	close(stop)
	d.leave(func() bool { return !left.Load() && queuelock.Wanted(d.lock) })
	// A file in drop/ whose message was committed goes before we do: who comes
	// next would take it again once the message has been delivered.
	select {
	case <-dropEnded:
	case <-time.After(dropPatience):
		d.log("warning: drop: a file is not taken in yet at the end")
	}
	return err
}

// frame takes what qmail-start gives us.
func (d *daemon) frame(f parent.Frame) error {
	switch {
	case f.Kind == parent.Listener && f.Name == parent.Public:
		d.listeners = append(d.listeners, f.File)
		go d.server.acceptPublic(f.File)
		return nil
	case f.Kind == parent.Figures:
		if err := d.store.counts.Take(f.Name, f.File); err != nil {
			d.log("warning: nothing is counted: " + err.Error())
		}
		return nil
	case f.Kind == parent.Drain:
		go d.replaced()
		return nil
	case f.Kind != parent.Link:
		return nil
	}
	packets, err := fdpass.NewPackets(f.File)
	if err != nil {
		return err
	}
	switch f.Name {
	case parent.SubmitSMTPD:
		go func() {
			d.told.add(packets)
			defer d.told.remove(packets)
			d.submitter(packets, origin{text: fromNetwork, knowsUsers: true, via: figures.ViaSMTP})
		}()
	case parent.SubmitQMTPD:
		go d.submitter(packets, origin{text: fromNetwork, knowsUsers: true, via: figures.ViaQMTP})
	case parent.SubmitQMQPD:
		go d.submitter(packets, origin{text: fromNetwork, knowsUsers: true, via: figures.ViaQMQP})
	case parent.SubmitSend:
		go d.submitter(packets, origin{text: "for bounce", makesRoom: true, via: figures.ViaNotice})
	case parent.SubmitTLSRPT:
		go d.submitter(packets, origin{text: "for tls report", via: figures.ViaTLSReport})
	case parent.Entries:
		l := newLink(d.store, packets, d.log)
		d.links.replace(l)
		go l.run()
	default:
		d.log("warning: unknown link " + f.Name)
		return packets.Close()
	}
	return nil
}

// submitter takes connections from one of our daemons until it leaves.
func (d *daemon) submitter(packets *fdpass.Packets, from origin) {
	err := d.server.acceptHanded(packets, from)
	if err != io.EOF && !d.server.isDraining() {
		d.log("warning: submit channel: " + err.Error())
	}
	_ = packets.Close() // nothing is written to it
}

// leave finishes what is in hand. The scheduler's link is kept until then, so
// that it learns of the last messages.
func (d *daemon) leave(hurry func() bool) {
	d.server.refuse()
	for _, l := range d.listeners {
		_ = l.Close() // who comes now waits for our successor
	}
	if d.server.wait(drainPatience, hurry) && d.server.allAnswered() {
		d.store.leaveAnswered()
	}
}

// housekeep does what nobody waits for.
func (d *daemon) housekeep(stop <-chan struct{}) {
	d.store.sweep()
	d.store.tellLeft()
	tick := time.NewTicker(housekeeping)
	defer tick.Stop()
	swept := time.Now()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		d.store.retryDoomed()
		if time.Since(swept) >= sweepInterval {
			d.store.sweep()
			swept = time.Now()
		}
	}
}
