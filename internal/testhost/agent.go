package testhost

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"

	"postrider/internal/fdpass"
)

// The test and a host's init talk in packets of JSON over one socket pair.
// The test asks, init answers each request once with the same ID; a started
// process is answered a second time when it ended. End of file on the socket
// is the end of the host.

// request is one packet to a host's init; exactly one of the pointers is set.
type request struct {
	ID     int
	Setup  *setup        `json:",omitempty"`
	Start  *startRequest `json:",omitempty"`
	Signal *signalOrder  `json:",omitempty"`
	Cut    *powerCut     `json:",omitempty"`
}

// startRequest starts a process; the descriptors 0, 1, 2 ... of the process
// travel with the packet in order.
type startRequest struct {
	Argv []string
	Env  []string
	Dir  string
	User string
}

// signalOrder sends a signal; a negative PID means the process group.
type signalOrder struct {
	PID    int
	Signal int
}

// reply is one packet from a host's init.
type reply struct {
	ID     int
	PID    int    `json:",omitempty"`
	Exited bool   `json:",omitempty"`
	Status uint32 `json:",omitempty"`
	Err    string `json:",omitempty"`
}

var errHostGone = errors.New("the host has ended")

// agent is the test's end of the socket to a host's init.
type agent struct {
	packets *fdpass.Packets
	sendMu  sync.Mutex

	mu      sync.Mutex
	nextID  int
	waiting map[int]chan reply
	gone    bool
}

func newAgent(f *os.File) (*agent, error) {
	packets, err := fdpass.NewPackets(f)
	if err != nil {
		return nil, err
	}
	a := &agent{packets: packets, waiting: make(map[int]chan reply)}
	go a.receive()
	return a, nil
}

// receive hands each reply to the one who waits for it, until the host ends.
func (a *agent) receive() {
	buf := make([]byte, fdpass.MaxPacket)
	for {
		n, files, err := a.packets.Receive(buf, 0)
		fdpass.CloseAll(files)
		var r reply
		if err == nil {
			err = json.Unmarshal(buf[:n], &r)
		}
		a.mu.Lock()
		if err != nil {
			a.gone = true
			for _, c := range a.waiting {
				close(c)
			}
			a.waiting = nil
			a.mu.Unlock()
			return
		}
		if c := a.waiting[r.ID]; c != nil {
			c <- r
		}
		a.mu.Unlock()
	}
}

// ask sends a request and returns the channel its replies come on; done
// forgets the request. The channel is closed when the host ends.
func (a *agent) ask(req request, files ...*os.File) (replies <-chan reply, done func(), err error) {
	a.mu.Lock()
	if a.gone {
		a.mu.Unlock()
		return nil, nil, errHostGone
	}
	a.nextID++
	req.ID = a.nextID
	c := make(chan reply, 2)
	a.waiting[req.ID] = c
	a.mu.Unlock()
	done = func() {
		a.mu.Lock()
		delete(a.waiting, req.ID)
		a.mu.Unlock()
	}
	data, err := json.Marshal(req)
	if err == nil {
		a.sendMu.Lock()
		err = a.packets.Send(data, files...)
		a.sendMu.Unlock()
	}
	if err != nil {
		done()
		return nil, nil, err
	}
	return c, done, nil
}

// do sends a request that has one reply and waits for it.
func (a *agent) do(req request, files ...*os.File) error {
	replies, done, err := a.ask(req, files...)
	if err != nil {
		return err
	}
	defer done()
	r, ok := <-replies
	if !ok {
		return errHostGone
	}
	if r.Err != "" {
		return errors.New(r.Err)
	}
	return nil
}

func (a *agent) close() { a.packets.Close() }

// serveAgent is the other end: it runs in the host's init and answers
// requests until the test closes its end.
func serveAgent(packets *fdpass.Packets, children *children) error {
	var sendMu sync.Mutex
	send := func(r reply) {
		data, err := json.Marshal(r)
		if err != nil {
			data = []byte(`{}`)
		}
		sendMu.Lock()
		defer sendMu.Unlock()
		// The only possible failure is that the test is gone, which the
		// next Receive sees too.
		_ = packets.Send(data)
	}
	buf := make([]byte, fdpass.MaxPacket)
	for {
		n, files, err := packets.Receive(buf, fdpass.MaxFiles)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		var req request
		if err := json.Unmarshal(buf[:n], &req); err != nil {
			return err
		}
		answer(req, files, children, send)
		fdpass.CloseAll(files)
	}
}

func answer(req request, files []*os.File, children *children, send func(reply)) {
	r := reply{ID: req.ID}
	var err error
	switch {
	case req.Setup != nil:
		var disk *os.File
		if len(files) > 0 {
			disk = files[0]
		}
		err = req.Setup.apply(disk)
	case req.Cut != nil && len(files) > 0:
		err = req.Cut.apply(files[0], children)
	case req.Signal != nil:
		err = syscall.Kill(req.Signal.PID, syscall.Signal(req.Signal.Signal))
	case req.Start != nil:
		err = children.start(req.Start, files, func(pid int) {
			send(reply{ID: req.ID, PID: pid})
		}, func(status syscall.WaitStatus) {
			send(reply{ID: req.ID, Exited: true, Status: uint32(status)})
		})
		if err == nil {
			return
		}
	default:
		err = errors.New("empty request")
	}
	if err != nil {
		r.Err = err.Error()
	}
	send(r)
}
