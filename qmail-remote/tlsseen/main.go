package tlsseen

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"postrider/internal/logline"
	"postrider/internal/wire/call"
	"postrider/internal/wire/parent"
	wire "postrider/internal/wire/tlsseen"
	"postrider/internal/world"
)

// Exit codes.
const (
	exitOK   = 0
	exitTemp = 111 // the control channel is not usable
)

const (
	logPrefix = "qmail-tlsseen: "
	// atOnce is how many questions of a link are worked on; none waits.
	atOnce = 4
	// writeEvery is how much a crash costs.
	writeEvery = 5 * time.Second
	// storeFile is below the home directory.
	storeFile = "tlsseen/hosts"
)

// server answers.
type server struct {
	*store
	log    func(line string)
	seldom logline.Seldom
}

// Main runs qmail-tlsseen until its control channel ends.
func Main(w world.World) int {
	log := logline.NewWriter(w.Stderr)
	defer log.Close()
	s := &server{store: newStore(filepath.Join(w.Home, storeFile), w.Clock), log: log.Line}
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
		s.warn(fmt.Errorf("what was remembered cannot be read now: %w", err))
	} else if damaged > 0 {
		s.log(fmt.Sprintf("%swarning: %s: %d damaged lines are left out", logPrefix, s.path, damaged))
	}
}

// warn logs trouble, one line a minute for each cause.
func (s *server) warn(err error) {
	if note, ok := s.seldom.Allow(s.clock.Now(), err); ok {
		s.log(logPrefix + "warning: " + err.Error() + note)
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
			s.warn(err) // it stays in memory, and is tried again
		}
	}
}

// frame does what qmail-start says.
func (s *server) frame(f parent.Frame) error {
	switch {
	case f.Kind == parent.Link && strings.HasPrefix(f.Name, parent.TLSSeen+"."):
		go s.serve(f.File)
	case f.File != nil:
		_ = f.File.Close() // not for us
		s.log(logPrefix + "warning: control channel hands over " + f.Name + ", which is not for qmail-tlsseen")
	}
	return nil
}

// serve answers the questions of a link.
func (s *server) serve(link *os.File) {
	err := call.Serve(link, atOnce, func(question []byte) []byte { return wire.Reply(question, s) })
	if err != nil {
		s.log(logPrefix + "warning: link to qmail-remote: " + err.Error())
	}
}
