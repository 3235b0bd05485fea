package policy

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"postrider/internal/clock"
	"postrider/internal/logline"
	"postrider/internal/wire/call"
	"postrider/internal/wire/parent"
	wire "postrider/internal/wire/policy"
	"postrider/internal/world"
)

// Exit codes.
const (
	exitOK   = 0
	exitTemp = 111 // the control channel is not usable
)

const (
	logPrefix = "qmail-policy: "
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
	clock  clock.Clock
	log    func(line string)
	seldom logline.Seldom
	dns    func() (lookups, error)
	grey   *greylist
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
		s.warn(err)
	}
	return dns, err
}

// warn logs trouble, one line a minute for each cause.
func (s *server) warn(err error) {
	if note, ok := s.seldom.Allow(s.clock.Now(), err); ok {
		s.log(logPrefix + "warning: " + err.Error() + note)
	}
}

// Main runs qmail-policy until its control channel ends.
func Main(w world.World) int {
	log := logline.NewWriter(w.Stderr)
	defer log.Close()
	s := &server{clock: w.Clock, log: log.Line, dns: systemNames(w.Clock), grey: newGreylist(w.Clock)}
	channel, err := parent.Inherited()
	if err == nil {
		err = s.run(channel, filepath.Join(w.Home, storeFile))
	}
	if err != nil {
		log.Line(logPrefix + "fatal: " + err.Error())
		return exitTemp
	}
	return exitOK
}

// run serves until the control channel ends. A question that then has no
// answer gets none.
func (s *server) run(channel *parent.Channel, store string) error {
	j := &journal{path: store}
	if damaged, err := j.open(s.grey); err != nil {
		s.log(logPrefix + "warning: " + store + " is not used, the greylist is empty: " + err.Error())
	} else if damaged > 0 {
		s.log(fmt.Sprintf("%swarning: %s: %d damaged records are left out", logPrefix, store, damaged))
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
			s.warn(err) // it stays in memory, and is tried again
		}
	}
}

// frame does what qmail-start says.
func (s *server) frame(f parent.Frame) error {
	switch {
	case f.Kind == parent.Link && f.Name == parent.PolicySMTPD:
		go s.serve(f.File)
	case f.File != nil:
		_ = f.File.Close() // not for us
		s.log(logPrefix + "warning: control channel hands over " + f.Name + ", which is not for qmail-policy")
	}
	return nil
}

// serve answers the questions of a link.
func (s *server) serve(link *os.File) {
	err := call.Serve(link, atOnce, func(question []byte) []byte { return wire.Reply(question, s) })
	if err != nil {
		s.log(logPrefix + "warning: link to qmail-smtpd: " + err.Error())
	}
}
