package call

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"postrider/internal/absence"
	"postrider/internal/fdpass"
)

const (
	// maxOpen bounds the questions of a client that have no answer yet.
	maxOpen = 4096
	// linkTime is how long a peer may be gone before there is no waiting for the
	// next one: as long as it takes to replace or to restart it.
	linkTime = 15 * time.Second
)

// Why there is no answer. All of them are temporary.
var (
	ErrNoLink = errors.New("it does not run")
	ErrBusy   = errors.New("it has too many questions to answer")
	ErrLate   = errors.New("it did not answer in time")
	ErrLost   = errors.New("it ended before it answered")
)

// Client asks one peer. It may be used by many goroutines.
type Client struct {
	peer    string
	absence *absence.Absence

	mu     sync.Mutex
	link   *fdpass.Packets // nil: there is none
	open   map[uint32]chan []byte
	number uint32
}

// NewClient returns a client of a peer, named for errors, that has no link yet.
func NewClient(peer string) *Client {
	return &Client{peer: peer, absence: absence.New(linkTime), open: make(map[uint32]chan []byte)}
}

// Relink takes the link to a peer that starts, and owns f. Questions to the
// one before are asked again.
func (c *Client) Relink(f *os.File) error {
	link, err := fdpass.NewPackets(f)
	if err != nil {
		_ = f.Close() // was only received
		return err
	}
	c.mu.Lock()
	old := c.link
	c.forget()
	c.link = link
	c.absence.End()
	c.mu.Unlock()
	if old != nil {
		_ = old.Close() // its peer is gone
	}
	go c.read(link)
	return nil
}

// Linked reports whether there is a peer.
func (c *Client) Linked() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.link != nil
}

// Ask waits for the answer to a question, no longer than for the given time
// once it was asked. A peer that ended a moment ago is waited for; one that ends
// over the question is asked again, once: the question may be why it ends. An
// error says that there is no answer and why; asking again later may help.
func (c *Client) Ask(question []byte, wait time.Duration) (answer []byte, err error) {
	for lost := false; ; lost = true {
		next := c.absence.Next()
		answer, err = c.AskNow(question, wait)
		if errors.Is(err, ErrNoLink) && c.absence.Await(next) {
			answer, err = c.AskNow(question, wait)
		}
		if lost || !errors.Is(err, ErrLost) {
			return answer, err
		}
	}
}

// AskNow is Ask of the peer that is linked, once, without waiting for another:
// for who takes the links, since while he waits none can come.
func (c *Client) AskNow(question []byte, wait time.Duration) ([]byte, error) {
	if len(question) == 0 || len(question) > MaxBody {
		return nil, c.problem(ErrTooLarge)
	}
	number, answered, err := c.send(question)
	if err != nil {
		return nil, c.problem(err)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case answer, ok := <-answered:
		if !ok {
			return nil, c.problem(ErrLost)
		}
		return answer, nil
	case <-timer.C:
		c.mu.Lock()
		delete(c.open, number)
		c.mu.Unlock()
		return nil, c.problem(ErrLate)
	}
}

func (c *Client) problem(err error) error { return fmt.Errorf("%s: %w", c.peer, err) }

// send sends a question without waiting: a peer that does not take it is busy.
func (c *Client) send(question []byte) (uint32, chan []byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link == nil {
		return 0, nil, ErrNoLink
	}
	if len(c.open) >= maxOpen {
		return 0, nil, ErrBusy
	}
	c.number++
	sent, err := c.link.TrySend(appendPacket(nil, c.number, question))
	if absence.Ended(err) {
		c.lose() // its reader is about to find out
		return 0, nil, ErrNoLink
	}
	if err != nil {
		return 0, nil, err
	}
	if !sent {
		return 0, nil, ErrBusy
	}
	answered := make(chan []byte, 1)
	c.open[c.number] = answered
	return c.number, answered, nil
}

// read takes the answers until the link ends.
func (c *Client) read(link *fdpass.Packets) {
	buf := make([]byte, fdpass.MaxPacket)
	for {
		n, _, err := link.Receive(buf, 0)
		if err != nil {
			break
		}
		number, body, err := parse(buf[:n])
		if err != nil {
			break
		}
		c.answered(number, bytes.Clone(body))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link != link {
		return // a new one is there
	}
	c.lose()
}

// lose takes note that the peer is gone; the caller holds mu.
func (c *Client) lose() {
	c.forget()
	_ = c.link.Close() // nothing can come of it
	c.link = nil
	c.absence.Begin()
}

func (c *Client) answered(number uint32, answer []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if waiting, ok := c.open[number]; ok {
		delete(c.open, number)
		waiting <- answer
	}
}

// forget tells all who wait that no answer comes; the caller holds mu.
func (c *Client) forget() {
	for number, waiting := range c.open {
		close(waiting)
		delete(c.open, number)
	}
}
