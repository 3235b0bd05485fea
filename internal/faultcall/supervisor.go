//go:build linux && amd64

package faultcall

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Supervisor is the test's end of a supervisor that runs.
type Supervisor struct {
	f       *os.File
	answers chan report

	mu      sync.Mutex
	events  []Event
	changed chan struct{} // closed and replaced with each event
	gone    bool
}

// New returns the test's end, and the file that the supervisor must get as its
// descriptor 3. The orders hold from the program's first call on.
func New(first ...Order) (*Supervisor, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	// Only a descriptor that does not block can be read and closed at the same
	// time.
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return nil, nil, err
	}
	s := &Supervisor{
		f: os.NewFile(uintptr(fds[0]), "supervisor"), answers: make(chan report, 1), changed: make(chan struct{}),
	}
	theirs := os.NewFile(uintptr(fds[1]), "supervisor's end")
	if err := json.NewEncoder(s.f).Encode(request{first}); err != nil {
		return nil, nil, errors.Join(err, s.f.Close(), theirs.Close())
	}
	go s.receive()
	return s, theirs, nil
}

// Close ends the supervisor, and with it all that it runs.
func (s *Supervisor) Close() error { return s.f.Close() }

func (s *Supervisor) receive() {
	in := json.NewDecoder(s.f)
	for {
		var r report
		if err := in.Decode(&r); err != nil {
			s.mu.Lock()
			s.gone = true
			close(s.changed)
			s.mu.Unlock()
			close(s.answers)
			return
		}
		if r.Event == nil {
			s.answers <- r
			continue
		}
		s.mu.Lock()
		s.events = append(s.events, *r.Event)
		close(s.changed)
		s.changed = make(chan struct{})
		s.mu.Unlock()
	}
}

// Arm replaces the orders, and returns how many calls matched each of the old
// ones. One goroutine at a time may call it.
func (s *Supervisor) Arm(orders ...Order) (seen []int, err error) {
	if err := json.NewEncoder(s.f).Encode(request{orders}); err != nil {
		return nil, err
	}
	r, ok := <-s.answers
	switch {
	case !ok:
		return nil, errors.New("the supervisor has ended")
	case r.Err != "":
		return nil, errors.New(r.Err)
	}
	return r.Seen, nil
}

// Events returns the events from number first on, and a channel that is closed
// when there is another, or the supervisor ends.
func (s *Supervisor) Events(first int) ([]Event, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Event(nil), s.events[min(first, len(s.events)):]...), s.changed
}

// All returns all events when the supervisor has ended.
func (s *Supervisor) All() []Event {
	for range s.answers { // is closed at the end
	}
	events, _ := s.Events(0)
	return events
}

// orders is the supervisor's end.
type orders struct {
	in  *json.Decoder
	mu  sync.Mutex
	out *json.Encoder
}

func newOrders(f *os.File) *orders {
	return &orders{in: json.NewDecoder(f), out: json.NewEncoder(f)}
}

// tell sends a report. The only failure is that the test is gone, which ends
// serve.
func (o *orders) tell(r report) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_ = o.out.Encode(r)
}

// next takes one request.
func (o *orders) next(t *tracer) (report, error) {
	var r request
	if err := o.in.Decode(&r); err != nil {
		return report{}, err
	}
	seen, err := t.arm(r.Orders)
	if err != nil {
		return report{Err: err.Error()}, nil
	}
	return report{Seen: seen}, nil
}

// serve takes requests until the test is gone, and then ends the supervisor;
// the kernel kills who is traced.
func (o *orders) serve(t *tracer) {
	for {
		answer, err := o.next(t)
		if err != nil {
			if err != io.EOF {
				fmt.Fprintf(os.Stderr, "%s: %v\n", supervisorName, err)
			}
			os.Exit(111)
		}
		o.tell(answer)
	}
}
