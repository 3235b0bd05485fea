package tlsseen

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"postrider/internal/responder"
	"postrider/internal/wire/parent"
	wire "postrider/internal/wire/tlsseen"
	"postrider/internal/world"
)

const (
	// atOnce is how many questions of a link are worked on; none waits.
	atOnce = 4
	// writeEvery is how much a crash costs.
	writeEvery = 5 * time.Second
	// storeFile is below the home directory.
	storeFile = "tlsseen/hosts"
)

// server answers.
type server struct {
	*responder.Daemon
	*store
}

// Main runs qmail-tlsseen until its control channel ends.
func Main(w world.World) int {
	return responder.Main(w, "qmail-tlsseen", func(d *responder.Daemon, channel *parent.Channel) error {
		s := &server{Daemon: d, store: newStore(filepath.Join(w.Home, storeFile), w.Clock)}
		return s.run(channel)
	})
}

// run serves until the control channel ends. A question that then has no
// answer gets none.
func (s *server) run(channel *parent.Channel) error {
	s.tell(s.load())
	ending := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() { s.keep(ending) })
	err := channel.Run(s.frame)
	close(ending)
	writer.Wait()
	return err
}

// tell tells what became of reading the file.
func (s *server) tell(damaged int, err error) {
	if err != nil {
		s.Warn(fmt.Errorf("what was remembered cannot be read now: %w", err))
	} else if damaged > 0 {
		s.Say(fmt.Sprintf("warning: %s: %d damaged lines are left out", s.path, damaged))
	}
}

// keep writes what is new every few seconds, and in the end. What could not be
// read is read before.
func (s *server) keep(ending <-chan struct{}) {
	for over := false; !over; {
		wake, stop := s.clock.At(s.clock.Now().Add(writeEvery))
		select {
		case <-wake:
		case <-ending:
			over = true
		}
		stop()
		s.tell(s.again())
		if err := s.write(); err != nil {
			s.Warn(err) // it stays in memory, and is tried again
		}
	}
}

// frame does what qmail-start says.
func (s *server) frame(f parent.Frame) error {
	switch {
	case f.Kind == parent.Link && strings.HasPrefix(f.Name, parent.TLSSeen+"."):
		go s.Respond(f.File, "qmail-remote", atOnce, func(question []byte) []byte { return wire.Reply(question, s) })
	default:
		s.Stray(f)
	}
	return nil
}
