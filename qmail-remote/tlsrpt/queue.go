package tlsrpt

import (
	"bufio"
	"errors"
	"os"
	"sync"
	"time"

	"postrider/internal/fdpass"
	"postrider/internal/wire/submit"
)

// queueTime bounds the wait for qmail-spool.
const queueTime = 5 * time.Minute

var errNoQueue = errors.New("the mail queue is not available")

// queue is the submit channel.
type queue struct {
	mu      sync.Mutex
	channel *fdpass.Packets // nil: there is none
}

// relink takes the channel to a qmail-spool that starts, and owns f.
func (q *queue) relink(f *os.File) error {
	channel, err := fdpass.NewPackets(f)
	if err != nil {
		_ = f.Close() // was only received
		return err
	}
	q.mu.Lock()
	old := q.channel
	q.channel = channel
	q.mu.Unlock()
	if old != nil {
		_ = old.Close() // its peer is gone
	}
	return nil
}

// submit hands a message in and returns its number.
func (q *queue) submit(m message) (id string, err error) {
	q.mu.Lock()
	channel := q.channel
	q.mu.Unlock()
	if channel == nil {
		return "", errNoQueue
	}
	f, err := submit.Connect(channel)
	if err != nil {
		return "", err
	}
	defer f.Close() // what was not committed is dropped
	if err := f.SetDeadline(time.Now().Add(queueTime)); err != nil {
		return "", err
	}
	in := bufio.NewReader(f)
	if err := submit.ReadGreeting(in); err != nil {
		return "", err
	}
	if _, err := f.Write(frames(m)); err != nil {
		return "", err
	}
	answer, err := submit.ReadAnswer(in)
	if err != nil {
		return "", err
	}
	if answer.Kind != submit.Accepted {
		return "", errors.New("qmail-spool refuses it: " + answer.Text)
	}
	return answer.ID, nil
}

// frames is all that is said of a message.
func frames(m message) (b []byte) {
	for text := m.text; len(text) > 0; {
		n := min(len(text), submit.MaxFrame)
		b = submit.AppendFrame(b, submit.Message, text[:n])
		text = text[n:]
	}
	envelope := "F" + m.from.String() + "\x00T" + m.to.String() + "\x00\x00"
	b = submit.AppendFrame(b, submit.Envelope, []byte(envelope))
	return submit.AppendFrame(b, submit.Commit, m.nonce[:])
}
