package tlsrpt

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"postrider/internal/control"
	"postrider/internal/dkimsign"
	"postrider/internal/idn"
	"postrider/internal/resolver"
	"postrider/internal/responder"
	"postrider/internal/tlsrpt"
	"postrider/internal/wire/call"
	"postrider/internal/wire/parent"
	"postrider/internal/wire/tlspost"
	wire "postrider/internal/wire/tlsrpt"
	"postrider/internal/world"
)

const (
	// atOnce is how many questions of a link are worked on; none waits.
	atOnce = 4
	// writeEvery is how much a crash costs.
	writeEvery = time.Minute
	// sweepEvery is how often it is looked for reports that are due.
	sweepEvery = 10 * time.Minute
	// serverTime is how long one name server has at most.
	serverTime = 3 * time.Second
	// keptLookups bounds the cache of the DNS: each domain is asked for once.
	keptLookups = 64
)

// server counts and sends.
type server struct {
	*responder.Daemon
	*store
	sender *sender
	queue  *queue
	web    *call.Client  // qmail-tlspost
	linked chan struct{} // has a value once there is a queue, or qmail-tlspost
}

// Main runs qmail-tlsrpt until its control channel ends.
func Main(w world.World) int {
	return responder.Main(w, "qmail-tlsrpt", func(d *responder.Daemon, channel *parent.Channel) error {
		return newServer(w, d).run(channel)
	})
}

func newServer(w world.World, d *responder.Daemon) *server {
	names := &resolver.System{Path: resolver.SystemConfig, Clock: w.Clock, Timeout: serverTime, Entries: keptLookups}
	dir := filepath.Join(w.Home, "tlsrpt")
	s := &server{Daemon: d, store: newStore(dir, w.Clock), queue: new(queue), web: call.NewClient("qmail-tlspost"), linked: make(chan struct{}, 1)}
	s.sender = &sender{
		// By then the last minute of the day is in its file.
		dir: dir, now: w.Clock.Now, delay: 2*writeEvery + rand.N(spread),
		dns:      func() (lookups, error) { return names.Get() },
		settings: func() (reporter, bool, error) { return readReporter(control.Dir(filepath.Join(w.Home, "control"))) },
		queue:    s.queue.submit,
		post:     func(url string, report []byte) error { return tlspost.Post(s.web, url, report, postTime) },
		note:     d.Say,
		trouble:  s.Warn,
	}
	return s
}

func readReporter(dir control.Dir) (r reporter, on bool, err error) {
	if r.Settings, on, err = tlsrpt.Read(dir); err != nil || !on {
		return r, false, err
	}
	if r.me, err = dir.Line("me", ""); err == nil && !tlsrpt.IsName(r.me) {
		err = fmt.Errorf("%s/me: %.100q is no name of a host", dir, r.me)
	}
	if err != nil {
		return r, false, err
	}
	signatures, err := dkimsign.Read(dir)
	if err != nil {
		return r, false, err
	}
	rules, _ := signatures.Rules(idn.Key(r.Contact.Domain()))
	r.signed = len(rules) > 0
	return r, true, nil
}

// run serves until the control channel ends.
func (s *server) run(channel *parent.Channel) error {
	s.tell(s.load())
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { s.keep(ctx) })
	work.Go(func() { s.send(ctx) })
	err := channel.Run(s.frame)
	cancel()
	work.Wait()
	return err
}

// tell tells what became of reading what was counted today.
func (s *server) tell(damaged int, err error) {
	if err != nil {
		s.Warn(fmt.Errorf("what was counted today cannot be read now: %w", err))
	} else if damaged > 0 {
		s.Say(fmt.Sprintf("warning: %d damaged lines of today are left out", damaged))
	}
}

// keep writes what is new every minute, and in the end. What could not be read is
// read before.
func (s *server) keep(ctx context.Context) {
	for {
		s.pause(ctx, writeEvery, nil)
		s.tell(s.again())
		if err := s.write(); err != nil {
			s.Warn(err) // it stays in memory, and is tried again
		}
		if lost := s.takeLost(); lost > 0 {
			s.Say(fmt.Sprintf("warning: %d sessions are not counted: there are too many domains or policies today", lost))
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// send looks for what is due now and then, and when there is somebody to take it.
func (s *server) send(ctx context.Context) {
	for ctx.Err() == nil {
		s.pause(ctx, sweepEvery, s.linked)
		if ctx.Err() == nil {
			s.sender.sweep(ctx)
		}
	}
}

// pause waits, but not beyond the end or an event.
func (s *server) pause(ctx context.Context, wait time.Duration, event <-chan struct{}) {
	wake, stop := s.clock.At(s.clock.Now().Add(wait))
	defer stop()
	select {
	case <-wake:
	case <-event:
	case <-ctx.Done():
	}
}

// frame does what qmail-start says.
func (s *server) frame(f parent.Frame) error {
	switch {
	case f.Kind == parent.Link && strings.HasPrefix(f.Name, parent.TLSRPT+"."):
		go s.Respond(f.File, "qmail-remote", atOnce, func(question []byte) []byte { return wire.Reply(question, s.count) })
	case f.Kind == parent.Link && f.Name == parent.TLSPost:
		return s.wake(s.web.Relink(f.File))
	case f.Kind == parent.Link && f.Name == parent.Submit:
		return s.wake(s.queue.relink(f.File))
	default:
		s.Stray(f)
	}
	return nil
}

// wake has it looked for reports that are due, since there is somebody new to take
// them.
func (s *server) wake(err error) error {
	select {
	case s.linked <- struct{}{}:
	default:
	}
	return err
}
