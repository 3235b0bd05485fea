package qmailremote

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"postrider/internal/control"
)

// step is what a server is waited for.
type step int

const (
	stepGreeting step = iota
	stepHello
	stepAuth
	stepMail
	stepRcpt
	stepData  // the answer to DATA
	stepBlock // until the next piece of the message has been taken
	stepEnd   // the answer to the message
	stepCount // how many there are
)

// stepNames are the words of control/remotetimeouts.
var stepNames = [stepCount]string{"greeting", "hello", "auth", "mail", "rcpt", "data", "block", "end"}

// waits are the times of all steps. Zero is timeoutremote.
type waits [stepCount]time.Duration

// readWaits reads control/remotetimeouts: "step:seconds" each.
func readWaits(dir control.Dir) (waits, error) {
	var w waits
	_, err := dir.Each("remotetimeouts", func(line string) error {
		name, value, _ := strings.Cut(line, ":")
		at := stepNamed(name)
		seconds, err := strconv.Atoi(strings.TrimSpace(value))
		if at < 0 || err != nil || seconds < 1 || seconds > maxTimeout {
			return fmt.Errorf("%q is no step and its seconds, 1 to %d", line, maxTimeout)
		}
		w[at] = time.Duration(seconds) * time.Second
		return nil
	})
	return w, err
}

// stepNamed returns the step of that name, or -1.
func stepNamed(name string) step {
	for s, n := range stepNames {
		if strings.EqualFold(name, n) {
			return step(s)
		}
	}
	return -1
}

// longest is the longest time that a step may take.
func (w *waits) longest(otherwise time.Duration) time.Duration {
	longest := time.Duration(0)
	for _, d := range w {
		if d == 0 {
			d = otherwise
		}
		longest = max(longest, d)
	}
	return longest
}

// await gives what follows the time of that step.
func (s *session) await(at step) {
	s.timeout = s.waits[at]
	if s.timeout == 0 {
		s.timeout = s.otherwise
	}
}
