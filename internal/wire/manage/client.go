package manage

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/queuedir"
)

// answerTime is how long the next packet of an answer may take: changes wait
// for the disk.
const answerTime = 5 * time.Minute

// ErrNotRunning is returned by Dial if nobody answers.
var ErrNotRunning = errors.New("qmail-send does not run")

// Client asks qmail-send.
type Client struct {
	f       *os.File
	packets *fdpass.Packets
	buf     []byte
}

// Dial connects to the socket at path.
func Dial(path string) (*Client, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	// Not for ever, should nobody accept.
	err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: 30})
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
	}
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		_ = unix.Close(fd) // nothing was said
		if err == unix.ENOENT || err == unix.ECONNREFUSED || err == unix.EAGAIN {
			err = ErrNotRunning
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f := os.NewFile(uintptr(fd), path)
	packets, err := fdpass.NewPackets(f)
	if err != nil {
		_ = f.Close() // nothing was said
		return nil, err
	}
	return &Client{f: f, packets: packets, buf: make([]byte, MaxPacket)}, nil
}

// Close ends the conversation.
func (c *Client) Close() { _ = c.packets.Close() }

// List calls visit with what qmail-send has, some at a time.
func (c *Client) List(visit func([]State) error) error {
	return c.ask(Question{Kind: List}, func(a Answer) error { return visit(a.States) })
}

// Change gives an order and calls visit with what became of it.
func (c *Client) Change(o Order, visit func([]Result) error) error {
	return c.ask(Question{Kind: Change, Order: o}, func(a Answer) error { return visit(a.Results) })
}

// Scan has qmail-send look for entries that somebody put into the queue.
func (c *Client) Scan() error {
	return c.ask(Question{Kind: Scan}, func(Answer) error { return nil })
}

// ask asks, and calls visit with each packet until the last.
func (c *Client) ask(q Question, visit func(Answer) error) error {
	if err := c.packets.Send(q.Append(nil)); err != nil {
		return c.lost(err)
	}
	for {
		a, _, err := c.receive(0)
		if err != nil {
			return err
		}
		if a.Kind == End {
			return nil
		}
		if err := visit(a); err != nil {
			return err
		}
	}
}

func (c *Client) lost(err error) error {
	return fmt.Errorf("qmail-send went away: %w", err)
}

func (c *Client) receive(maxFiles int) (Answer, []*os.File, error) {
	if err := c.f.SetReadDeadline(time.Now().Add(answerTime)); err != nil {
		return Answer{}, nil, err
	}
	n, files, err := c.packets.Receive(c.buf, maxFiles)
	if err != nil {
		return Answer{}, nil, c.lost(err)
	}
	a, err := DecodeAnswer(c.buf[:n])
	if err == nil && a.Kind == Refusal {
		err = errors.New("qmail-send: " + a.Text)
	}
	if err != nil {
		fdpass.CloseAll(files)
		return Answer{}, nil, err
	}
	return a, files, nil
}

// Message is the files of a message.
type Message struct {
	Entry, Progress, Body *os.File
}

// Close closes the files.
func (m *Message) Close() { fdpass.CloseAll([]*os.File{m.Entry, m.Progress, m.Body}) }

// filesEach is how many files a message has in an answer.
const filesEach = 3

// Describe returns the files of up to MaxDescribed messages, nil for one that
// is not there. The caller closes them.
func (c *Client) Describe(ids []queuedir.ID) ([]*Message, error) {
	if err := c.packets.Send(Question{Kind: Describe, IDs: ids}.Append(nil)); err != nil {
		return nil, c.lost(err)
	}
	a, files, err := c.receive(filesEach * MaxDescribed)
	if err != nil {
		return nil, err
	}
	messages, ok := a.attach(ids, files)
	if !ok {
		fdpass.CloseAll(files)
		return nil, errors.New("qmail-send answers something else")
	}
	if err := c.packets.Send([]byte{Taken}); err != nil {
		fdpass.CloseAll(files)
		return nil, c.lost(err)
	}
	if end, _, err := c.receive(0); err != nil || end.Kind != End {
		fdpass.CloseAll(files)
		return nil, errors.Join(err, errors.New("qmail-send did not end its answer"))
	}
	return messages, nil
}

// attach gives the messages of an answer their files.
func (a Answer) attach(ids []queuedir.ID, files []*os.File) ([]*Message, bool) {
	if a.Kind != Files || len(a.Found) != len(ids) {
		return nil, false
	}
	messages := make([]*Message, len(ids))
	for i, found := range a.Found {
		if !found {
			continue
		}
		if len(files) < filesEach {
			return nil, false
		}
		messages[i] = &Message{files[0], files[1], files[2]}
		files = files[filesEach:]
	}
	return messages, len(files) == 0
}
