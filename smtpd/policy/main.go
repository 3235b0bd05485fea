package policy

import (
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"postrider/internal/clock"
	"postrider/internal/responder"
	"postrider/internal/wire/parent"
	wire "postrider/internal/wire/policy"
	"postrider/internal/world"
)

const (
	// atOnce is how many questions are worked on: most wait for the DNS. More
	// wait in the link.
	atOnce = 1000
	// writeEvery is how much of the greylist a crash costs.
	writeEvery = 5 * time.Second
	// storeFile is that of the greylist, below the home directory.
	storeFile = "policy/greylist"
)

// server answers. It is a wire.Policy.
type server struct {
	*responder.Daemon
	clock clock.Clock
	dns   func() (lookups, error)
	grey  *greylist
}

var _ wire.Policy = (*server)(nil)

// Grey asks the greylist.
func (s *server) Grey(t wire.Triplet, delay time.Duration) (time.Duration, error) {
	return s.grey.wait(t, delay), nil
}

// domains returns the DNS as resolv.conf has it now.
func (s *server) domains() (lookups, error) {
	dns, err := s.dns()
	if err != nil {
		s.Warn(err)
	}
	return dns, err
}

// Main runs qmail-policy until its control channel ends.
func Main(w world.World) int {
	return responder.Main(w, "qmail-policy", func(d *responder.Daemon, channel *parent.Channel) error {
		s := &server{Daemon: d, clock: w.Clock, dns: systemNames(w.Clock), grey: newGreylist(w.Clock)}
		return s.run(channel, filepath.Join(w.Home, storeFile))
	})
}

// run serves until the control channel ends. A question that then has no
// answer gets none.
func (s *server) run(channel *parent.Channel, store string) error {
	j := &journal{path: store}
	if damaged, err := j.open(s.grey); err != nil {
		s.Say("warning: " + store + " is not used, the greylist is empty: " + err.Error())
	} else if damaged > 0 {
		s.Say(fmt.Sprintf("warning: %s: %d damaged records are left out", store, damaged))
	}
	ending := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() { s.keep(j, ending) })
	err := channel.Run(s.frame)
	close(ending)
	writer.Wait()
	return err
}

// keep writes the greylist down every few seconds, and in the end.
func (s *server) keep(j *journal, ending <-chan struct{}) {
	defer j.close()
	for over := false; !over; {
		wake, stop := s.clock.At(s.clock.Now().Add(writeEvery))
		select {
		case <-wake:
		case <-ending:
			over = true
		}
		stop()
		if err := j.write(s.grey); err != nil {
			s.Warn(err) // it stays in memory, and is tried again
		}
	}
}

// frame does what qmail-start says.
func (s *server) frame(f parent.Frame) error {
	switch {
	case f.Kind == parent.Link && f.Name == parent.PolicySMTPD:
		go s.Respond(f.File, "qmail-smtpd", atOnce, func(question []byte) []byte { return wire.Reply(question, s) })
	default:
		s.Stray(f)
	}
	return nil
}
