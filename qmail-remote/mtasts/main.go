package mtasts

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"postrider/internal/https"
	"postrider/internal/resolver"
	"postrider/internal/responder"
	"postrider/internal/webpki"
	wire "postrider/internal/wire/mtasts"
	"postrider/internal/wire/parent"
	"postrider/internal/wire/steps"
	"postrider/internal/world"
)

// Exit codes.
const (
	exitOK   = 0
	exitTemp = 111 // the control channel is not usable
)

const (
	program = "qmail-mtasts"
	// atOnce is how many questions of a link are worked on. More wait in it.
	atOnce = 200
	// refreshEvery is how often it is looked for old policies.
	refreshEvery = time.Hour
	// serverTime is how long one name server has at most.
	serverTime = 3 * time.Second
	// keptLookups bounds the cache of the DNS.
	keptLookups = 4096
)

// server answers.
type server struct {
	*responder.Daemon
	*finder
}

// Main runs qmail-mtasts until its control channel ends.
func Main(w world.World) int {
	if _, rest, asked := steps.Arguments(w.Args); asked && len(rest) == 0 {
		return explain(w)
	}
	return responder.Main(w, program, func(d *responder.Daemon, channel *parent.Channel) error {
		return newServer(w, d).run(channel)
	})
}

func newServer(w world.World, d *responder.Daemon) *server {
	names := &resolver.System{Path: resolver.SystemConfig, Clock: w.Clock, Timeout: serverTime, Entries: keptLookups}
	dns := func() (lookups, error) { return names.Get() }
	s := &server{Daemon: d}
	web := &fetcher{&https.Client{
		Names: func() (https.Names, error) { return names.Get() }, Roots: webpki.SystemRoots().Pool, Dial: new(net.Dialer).DialContext,
	}}
	s.finder = &finder{
		clock:   w.Clock,
		dns:     dns,
		fetch:   web.fetch,
		store:   newStore(filepath.Join(w.Home, "mtasts")),
		note:    d.Say,
		trouble: s.Warn,
		flights: make(map[string]*flight),
		failed:  make(map[string]time.Time),
	}
	return s
}

// run serves until the control channel ends. A question that then has no
// answer gets none.
func (s *server) run(channel *parent.Channel) error {
	if damaged, err := s.store.load(s.clock.Now()); err != nil {
		s.Warn(fmt.Errorf("what was kept cannot be read now: %w", err))
	} else if damaged > 0 {
		s.Say(fmt.Sprintf("warning: %d damaged files are removed", damaged))
	}
	ctx, cancel := context.WithCancel(context.Background())
	var refreshing sync.WaitGroup
	refreshing.Go(func() { s.keepFresh(ctx) })
	err := channel.Run(s.frame)
	cancel()
	refreshing.Wait()
	return err
}

func (s *server) keepFresh(ctx context.Context) {
	for ctx.Err() == nil {
		wake, stop := s.clock.At(s.clock.Now().Add(refreshEvery))
		select {
		case <-wake:
			s.refresh(ctx)
		case <-ctx.Done():
		}
		stop()
	}
}

// frame does what qmail-start says.
func (s *server) frame(f parent.Frame) error {
	switch {
	case f.Kind == parent.Link && strings.HasPrefix(f.Name, parent.MTASTS+"."):
		go s.Respond(f.File, "qmail-remote", atOnce, func(question []byte) []byte { return wire.Reply(question, s.find) })
	default:
		s.Stray(f)
	}
	return nil
}
