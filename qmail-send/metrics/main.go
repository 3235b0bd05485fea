package metrics

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"

	"postrider/internal/figures"
	"postrider/internal/logline"
	"postrider/internal/wire/parent"
	"postrider/internal/world"
)

// Exit codes.
const (
	exitOK   = 0
	exitTemp = 111 // the control channel is not usable
)

const (
	logPrefix = "qmail-metrics: "
	// memoryGoal is what the garbage collector keeps the process near.
	memoryGoal = 16 << 20
)

// server tells what areas hold.
type server struct {
	log  func(line string)
	http *http.Server

	mu    sync.Mutex
	owner figures.Area // of qmail-start
	areas []figures.Area

	answering sync.Mutex // one at a time
}

// Main runs qmail-metrics until its control channel ends.
func Main(w world.World) int {
	log := logline.NewWriter(w.Stderr)
	defer log.Close()
	debug.SetMemoryLimit(memoryGoal)
	s := newServer(log.Line)
	channel, err := parent.Inherited()
	if err == nil {
		err = channel.Run(s.frame)
	}
	_ = s.http.Close() // clients ask our successor
	if err != nil {
		log.Line(logPrefix + "fatal: " + err.Error())
		return exitTemp
	}
	return exitOK
}

// frame does what qmail-start says.
func (s *server) frame(f parent.Frame) error {
	name, _ := parent.ParseListener(f.Name)
	switch {
	case f.Kind == parent.Area:
		return s.addArea(f)
	case f.Kind == parent.Listener && name == parent.ListenMetrics:
		l, err := net.FileListener(f.File)
		_ = f.File.Close() // the listener has a descriptor of its own
		if err != nil {
			return fmt.Errorf("listening socket: %w", err)
		}
		go s.serve(l)
	case f.File != nil:
		_ = f.File.Close() // not for us
		s.log(logPrefix + "warning: control channel hands over " + f.Name + ", which is not for qmail-metrics")
	}
	return nil
}

// addArea reads an area from now on. One of another layout is of a release beside
// ours: what it holds is not known here.
func (s *server) addArea(f parent.Frame) error {
	layout, number, program, err := parent.ParseArea(f.Name)
	if err == nil && layout != figures.Layout() {
		s.log(logPrefix + "warning: figures of " + program + " are left out: it is of another release")
		return f.File.Close()
	}
	if err != nil {
		return errors.Join(err, f.File.Close())
	}
	a, err := figures.OpenArea(number, program, f.File)
	if err != nil {
		return fmt.Errorf("figures of %s: %w", program, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if program == "qmail-start" {
		s.owner = a
		return nil
	}
	s.areas = append(s.areas, a)
	return nil
}

// read returns what all areas hold.
func (s *server) read() []figures.Family {
	s.mu.Lock()
	owner, areas := s.owner, slices.Clone(s.areas)
	s.mu.Unlock()
	return figures.Read(owner, areas)
}
