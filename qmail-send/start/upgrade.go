package start

import (
	"errors"
	"fmt"

	"postrider/internal/handover"
)

// exitReady is what a program says that could take over: no other one does so
// by accident.
const exitReady = 20

// errExplained says that no upgrade is possible, and that the log has the reason.
var errExplained = errors.New("the program that is installed has said why")

// errSignalFirst says that a signal came at the last moment: its turn is first.
var errSignalFirst = errors.New("a signal came, which goes first")

// stays begins every line that says that nothing was changed.
const stays = "qmail-start: warning: no upgrade, all runs on as it was: "

// successor is the program that is now in the file of qmail-start.
type successor interface {
	// check asks it whether it could go on from a hand-over.
	check(state handover.State) error
	// replace executes it in the place of this one. It returns if that failed.
	replace(state handover.State) error
}

// upgrade begins to hand over to the program that is installed now. All runs on
// while that one says whether it can.
func (s *supervisor) upgrade() {
	if s.end != nil {
		return
	}
	if s.checking {
		s.log("qmail-start: an upgrade has begun already")
		return
	}
	state, err := s.state()
	if err != nil {
		s.stay(err)
		return
	}
	s.log("qmail-start: upgrading: asking the program that is installed")
	s.checking = true
	go func() { s.checked <- s.successor.check(state) }()
}

// handOver executes the new program, if it can go on.
func (s *supervisor) handOver(err error) {
	s.checking = false
	if s.end != nil {
		return
	}
	var state handover.State
	if err == nil {
		state, err = s.state() // of now
	}
	if err == nil {
		err = s.successor.replace(state)
	}
	if errors.Is(err, errSignalFirst) {
		s.checking = true
		s.checked <- nil // the answer still holds
		return
	}
	s.stay(err)
}

func (s *supervisor) stay(err error) {
	if !errors.Is(err, errExplained) {
		s.log(fmt.Sprintf("%s%v", stays, err))
	}
}
