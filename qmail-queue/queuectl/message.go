package queuectl

import (
	"bufio"
	"io"
	"strings"
	"time"

	"postrider/internal/queuedir"
	"postrider/internal/wire/manage"
)

// state is where a message stands.
type state string

// The states, as people write them.
const (
	isNew      state = "new"
	isDeferred state = "deferred"
	isActive   state = "active"
	isHeld     state = "held"
	isBouncing state = "bouncing"
	isLeaving  state = "leaving"
	isDamaged  state = "damaged"
)

// phases are the states in the words of qmail-send.
var phases = map[manage.Phase]state{
	manage.Waiting: isNew, manage.Deferred: isDeferred, manage.InHand: isActive, manage.HeldBack: isHeld,
	manage.Reporting: isBouncing, manage.Leaving: isLeaving, manage.Aside: isDamaged,
}

// message is what is known of a message.
type message struct {
	ID         string      `json:"id"`
	Arrived    time.Time   `json:"arrived"`
	Size       int64       `json:"size"`
	Sender     string      `json:"sender"`
	UID        uint32      `json:"uid"`
	State      state       `json:"state"`
	Next       *time.Time  `json:"next_attempt,omitempty"`
	Attempts   int         `json:"attempts,omitempty"`  // of which qmail-send knows
	InFlight   int         `json:"in_flight,omitempty"` // deliveries
	HeldWhy    string      `json:"held_because,omitempty"`
	Recipients []recipient `json:"recipients"`
	History    []event     `json:"history,omitempty"`
	Header     string      `json:"header,omitempty"`

	id queuedir.ID
}

// recipient is one of a message.
type recipient struct {
	Address  string     `json:"address"`
	Original string     `json:"changed_from,omitempty"`
	Relay    string     `json:"next_host,omitempty"`
	Done     string     `json:"done,omitempty"` // "delivered", "failed"
	Reason   string     `json:"last_reason,omitempty"`
	At       *time.Time `json:"last_attempt,omitempty"`
}

// event is a line of the progress file, in words.
type event struct {
	At         *time.Time `json:"at,omitempty"`
	What       string     `json:"what"`
	Recipients []int      `json:"recipients,omitempty"` // from 1
	UID        *uint32    `json:"uid,omitempty"`
	Text       string     `json:"text,omitempty"`
}

// reading says what of a message is wanted.
type reading struct{ history bool }

// read makes a message of its files; progress is nil if it has none.
func (want reading) read(e *queuedir.Entry, progress io.Reader) (*message, error) {
	envelope, err := e.Envelope()
	if err != nil {
		return nil, err
	}
	m := &message{
		ID: e.ID.String(), id: e.ID, Arrived: envelope.Head.Arrived, Size: e.Footer.BodySize,
		Sender: envelope.Head.Sender.String(), UID: envelope.Head.UID, State: isNew,
	}
	for {
		to, err := envelope.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		m.Recipients = append(m.Recipients, recipient{Address: to.String()})
	}
	if progress == nil {
		return m, nil
	}
	m.State = isDeferred
	_, err = queuedir.ReadRecords(progress, func(r queuedir.Record, _ int64) error {
		for _, i := range r.Indexes {
			if i >= len(m.Recipients) {
				return queuedir.ErrDamaged
			}
		}
		m.take(r)
		if want.history {
			m.History = append(m.History, told(r))
		}
		return nil
	})
	if m.State != isHeld && m.left() == 0 {
		m.State = isBouncing
	}
	return m, err
}

// left returns how many recipients are not done.
func (m *message) left() (n int) {
	for i := range m.Recipients {
		if m.Recipients[i].Done == "" {
			n++
		}
	}
	return n
}

// take takes what a record says.
func (m *message) take(r queuedir.Record) {
	switch r.Kind {
	case queuedir.Held:
		m.State, m.HeldWhy = isHeld, r.Text
	case queuedir.Released:
		m.State, m.HeldWhy = isDeferred, ""
	case queuedir.Cancelled:
		for i := range m.Recipients {
			m.Recipients[i].finish("deleted")
		}
	}
	for _, i := range r.Indexes {
		m.Recipients[i].take(r)
	}
}

func (to *recipient) finish(how string) {
	if to.Done == "" {
		to.Done = how
	}
}

func (to *recipient) take(r queuedir.Record) {
	switch r.Kind {
	case queuedir.Delivered, queuedir.Succeeded, queuedir.Relayed:
		to.finish("delivered")
	case queuedir.Failed:
		to.finish("failed")
	case queuedir.Readdress:
		if to.Original == "" {
			to.Original = to.Address
		}
		to.Address = r.Text
	case queuedir.Reroute:
		to.Relay = r.Text
	}
	if reason := reasonOf(r); reason != "" {
		to.Reason, to.At = reason, &r.Time
	}
}

// reasonOf returns what a record says about an attempt, on one line.
func reasonOf(r queuedir.Record) string {
	text := r.Text
	switch r.Kind {
	case queuedir.Tried:
	case queuedir.Failed, queuedir.Deferred:
		_, text, _ = strings.Cut(text, ">:\n")
	default:
		return ""
	}
	return strings.Join(strings.Fields(text), " ")
}

// words are how records are called.
var words = map[queuedir.RecordKind]string{
	queuedir.Delivered: "delivered", queuedir.Failed: "failed", queuedir.Succeeded: "delivered, to be reported",
	queuedir.Relayed: "relayed, to be reported", queuedir.Bounced: "reported to the sender", queuedir.Deferred: "deferred, to be reported",
	queuedir.Told: "delay reported to the sender", queuedir.Tried: "deferred", queuedir.Held: "held", queuedir.Released: "released",
	queuedir.Cancelled: "deleted", queuedir.Readdress: "address changed", queuedir.Reroute: "next host set",
}

// told is a record in words.
func told(r queuedir.Record) event {
	e := event{What: words[r.Kind], Text: reasonOf(r)}
	if !r.Time.IsZero() {
		e.At = &r.Time
	}
	for _, i := range r.Indexes {
		e.Recipients = append(e.Recipients, i+1)
	}
	switch r.Kind {
	case queuedir.Bounced, queuedir.Told:
		e.Text = "by no message"
		if r.Bounce != queuedir.Discarded {
			e.Text = "by message " + r.Bounce.String()
		}
	case queuedir.Held, queuedir.Readdress, queuedir.Reroute:
		e.Text = r.Text
		e.UID = &r.UID
	case queuedir.Released, queuedir.Cancelled:
		e.UID = &r.UID
	}
	return e
}

// maxHeader bounds what is shown of a header.
const maxHeader = 256 << 10

// header returns the header of a message.
func header(e *queuedir.Entry) (string, error) {
	body, err := e.Body()
	if err != nil {
		return "", err
	}
	defer body.Close() // only read from
	in := bufio.NewReader(io.LimitReader(body, maxHeader))
	var b strings.Builder
	for {
		line, err := in.ReadString('\n')
		if line == "\n" || err == io.EOF && line == "" {
			return b.String(), nil
		}
		b.WriteString(line)
		if err == io.EOF {
			return b.String(), nil
		}
		if err != nil {
			return "", err
		}
	}
}
