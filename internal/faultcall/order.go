//go:build linux && amd64

package faultcall

import (
	"fmt"
	"syscall"
	"time"
)

// Order is a fault that waits for its call.
type Order struct {
	Program string // base name of the program file; any if empty
	Class   Class
	Target  string // regular expression of Event.Target; any if empty
	Nth     int    // which of the matching calls, from 1; 0 is each
	Fault   Fault
}

// Fault is what happens to a call. One of Errno, Short and Kill is set; none of
// them only tells of the call.
type Fault struct {
	Errno syscall.Errno `json:",omitempty"`
	Short bool          `json:",omitempty"` // one byte is transferred
	Kill  bool          `json:",omitempty"`
	After bool          `json:",omitempty"` // the call is made before
}

func (f Fault) String() string {
	s := "told"
	switch {
	case f.Errno != 0:
		s = ErrnoName(f.Errno)
	case f.Short:
		s = "short"
	case f.Kill:
		s = "kill"
	}
	if f.After {
		s += " after"
	}
	return s
}

// Event is a fault that happened.
type Event struct {
	Program string
	PID     int // as the host numbers it
	Class   Class
	Call    string
	Target  string // file, or what the descriptor is; "from -> to" of two names
	Nth     int
	Fault   Fault
	When    time.Time
}

func (e Event) String() string {
	return fmt.Sprintf("%s: %s number %d of %s (%s)", e.Program, e.Fault, e.Nth, e.Call, e.Target)
}

// request is what the test sends; each is answered once.
type request struct {
	Orders []Order
}

// report is what the supervisor sends: an answer, or an event.
type report struct {
	Event *Event `json:",omitempty"`
	Seen  []int  `json:",omitempty"` // how many calls matched each order until the request
	Err   string `json:",omitempty"`
}
