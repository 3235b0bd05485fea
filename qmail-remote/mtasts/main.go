package mtasts

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"postrider/internal/https"
	"postrider/internal/logline"
	"postrider/internal/resolver"
	"postrider/internal/webpki"
	"postrider/internal/wire/call"
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
	logPrefix = "qmail-mtasts: "
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
	*finder
	log    func(line string)
	seldom logline.Seldom
}

// Main runs qmail-mtasts until its control channel ends.
func Main(w world.World) int {
	if _, rest, asked := steps.Arguments(w.Args); asked && len(rest) == 0 {
		return explain(w)
	}
	log := logline.NewWriter(w.Stderr)
	defer log.Close()
	s := newServer(w, log.Line)
	channel, err := parent.Inherited()
	if err == nil {
		err = s.run(channel)
	}
	if err != nil {
		log.Line(logPrefix + "fatal: " + err.Error())
		return exitTemp
	}
	return exitOK
}

func newServer(w world.World, log func(string)) *server {
	names := &resolver.System{Path: resolver.SystemConfig, Clock: w.Clock, Timeout: serverTime, Entries: keptLookups}
	dns := func() (lookups, error) { return names.Get() }
	s := &server{log: log}
	web := &fetcher{&https.Client{
		Names: func() (https.Names, error) { return names.Get() }, Roots: webpki.SystemRoots().Pool, Dial: new(net.Dialer).DialContext,
	}}
	s.finder = &finder{
		clock:   w.Clock,
		dns:     dns,
		fetch:   web.fetch,
		store:   newStore(filepath.Join(w.Home, "mtasts")),
		note:    func(line string) { log(logPrefix + line) },
		trouble: s.warn,
		flights: make(map[string]*flight),
		failed:  make(map[string]time.Time),
	}
	return s
}

// run serves until the control channel ends. A question that then has no
// answer gets none.
func (s *server) run(channel *parent.Channel) error {
	if damaged, err := s.store.load(s.clock.Now()); err != nil {
		s.warn(fmt.Errorf("what was kept cannot be read now: %w", err))
	} else if damaged > 0 {
		s.log(fmt.Sprintf("%swarning: %d damaged files are removed", logPrefix, damaged))
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

// warn logs trouble, one line a minute for each cause.
func (s *server) warn(err error) {
	if note, ok := s.seldom.Allow(s.clock.Now(), err); ok {
		s.log(logPrefix + "warning: " + err.Error() + note)
	}
}

// frame does what qmail-start says.
func (s *server) frame(f parent.Frame) error {
	switch {
	case f.Kind == parent.Link && strings.HasPrefix(f.Name, parent.MTASTS+"."):
		go s.serve(f.File)
	case f.File != nil:
		_ = f.File.Close() // not for us
		s.log(logPrefix + "warning: control channel hands over " + f.Name + ", which is not for qmail-mtasts")
	}
	return nil
}

// serve answers the questions of a link.
func (s *server) serve(link *os.File) {
	err := call.Serve(link, atOnce, func(question []byte) []byte { return wire.Reply(question, s.find) })
	if err != nil {
		s.log(logPrefix + "warning: link to qmail-remote: " + err.Error())
	}
}
