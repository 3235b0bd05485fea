package ledger

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Intent is a message somebody is about to send.
type Intent struct {
	ID         string // no blanks
	Via        string // "smtp", "sendmail" ...
	Sender     string // envelope sender, may be empty
	Recipients []string
	Hash       string // of the body, by Hash
}

// Answer is what the sender of a message was told.
type Answer int

const (
	// Unknown is what everything is until an answer is read in full.
	Unknown Answer = iota
	Acked
	Nacked
)

// Fault is something done to the system under test.
type Fault struct {
	When   time.Time
	Kind   string // "kill", "cut" ...
	Target string
}

// Entry is a message as the ledger knows it.
type Entry struct {
	Intent
	Answers map[string]Answer // by recipient
	Begun   time.Time
	When    time.Time // of the last answer
	ForNow  bool      // what was refused was refused for now
	Orders  []Order   // of operators, in order
}

// Ledger is the record of one run. It may be written by many goroutines.
type Ledger struct {
	mu      sync.Mutex
	f       *os.File // nil: not kept in a file
	err     error
	entries map[string]*Entry
	order   []string
	faults  []Fault
}

// New returns an empty ledger that appends to the file at path; the file
// outlives the run for whoever looks into it later.
func New(path string) (*Ledger, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	l := empty()
	l.f = f
	return l, nil
}

func empty() *Ledger { return &Ledger{entries: make(map[string]*Entry)} }

// Close makes the file durable and returns the first error of the run.
func (l *Ledger) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return l.err
	}
	if err := l.f.Sync(); l.err == nil {
		l.err = err
	}
	if err := l.f.Close(); l.err == nil {
		l.err = err
	}
	l.f = nil
	return l.err
}

// Intend is to be called before the first byte of a message is sent.
func (l *Ledger) Intend(in Intent) {
	l.record(time.Now(), append([]string{"INTENT", in.ID, in.Via, in.Hash, "<" + in.Sender + ">"}, in.Recipients...))
}

// Ack says that the final yes was read in full, for these recipients or, if
// none is named, for all.
func (l *Ledger) Ack(id string, recipients ...string) {
	l.record(time.Now(), append([]string{"ACK", id}, recipients...))
}

// Nack says that a final no was read: an SMTP code or an exit code.
func (l *Ledger) Nack(id string, code int, recipients ...string) {
	l.record(time.Now(), append([]string{"NACK", id, strconv.Itoa(code)}, recipients...))
}

// Unknown says that the connection or process died before the answer.
func (l *Ledger) Unknown(id string) { l.record(time.Now(), []string{"UNKNOWN", id}) }

// Fault is to be called just before a fault is made.
func (l *Ledger) Fault(kind, target string) { l.record(time.Now(), []string{"FAULT", kind, target}) }

// Acked reports whether a message was acknowledged for all its recipients.
func (l *Ledger) Acked(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[id]
	if e == nil {
		return false
	}
	for _, a := range e.Answers {
		if a != Acked {
			return false
		}
	}
	return true
}

// Entries returns what is known, in the order of the intents.
func (l *Ledger) Entries() []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]Entry, len(l.order))
	for i, id := range l.order {
		list[i] = *l.entries[id]
	}
	return list
}

// Faults returns the faults in order.
func (l *Ledger) Faults() []Fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Fault(nil), l.faults...)
}

// record writes a line and remembers what it says.
func (l *Ledger) record(when time.Time, fields []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f != nil {
		line := fmt.Sprintf("%d %s\n", when.UnixNano(), strings.Join(fields, " "))
		if _, err := l.f.WriteString(line); err != nil && l.err == nil {
			l.err = err
		}
	}
	if err := l.apply(when, fields); err != nil && l.err == nil {
		l.err = err
	}
}

// Read reads a ledger's file back.
func Read(r io.Reader) (*Ledger, error) {
	l := empty()
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		fields := strings.Split(lines.Text(), " ")
		nanoseconds, err := strconv.ParseInt(fields[0], 10, 64)
		if err == nil {
			err = l.apply(time.Unix(0, nanoseconds), fields[1:])
		}
		if err != nil {
			return nil, fmt.Errorf("ledger line %d: %w", n, err)
		}
	}
	return l, lines.Err()
}

func (l *Ledger) apply(when time.Time, fields []string) error {
	if len(fields) < 2 {
		return fmt.Errorf("too short: %q", fields)
	}
	kind, id, rest := fields[0], fields[1], fields[2:]
	switch kind {
	case "INTENT":
		if len(rest) < 4 || l.entries[id] != nil {
			return fmt.Errorf("intent of no or a second message %q", fields)
		}
		e := &Entry{Answers: make(map[string]Answer), Begun: when}
		e.Intent = Intent{ID: id, Via: rest[0], Hash: rest[1], Sender: strings.Trim(rest[2], "<>"), Recipients: rest[3:]}
		for _, r := range e.Recipients {
			e.Answers[r] = Unknown
		}
		l.entries[id] = e
		l.order = append(l.order, id)
		return nil
	case "ACK":
		return l.answer(when, id, Acked, rest)
	case "NACK":
		if len(rest) < 1 {
			return fmt.Errorf("no code: %q", fields)
		}
		if e := l.entries[id]; e != nil {
			e.ForNow = isTemporary(rest[0])
		}
		return l.answer(when, id, Nacked, rest[1:])
	case "UNKNOWN":
		return l.answer(when, id, Unknown, rest)
	case "ORDER":
		return l.applyOrder(when, id, rest)
	case "ORDERED":
		return l.applyOrdered(when, id)
	case "FAULT":
		l.faults = append(l.faults, Fault{When: when, Kind: id, Target: strings.Join(rest, " ")})
		return nil
	}
	return fmt.Errorf("unknown record %q", fields)
}

func (l *Ledger) answer(when time.Time, id string, a Answer, recipients []string) error {
	e := l.entries[id]
	if e == nil {
		return fmt.Errorf("answer to a message that was never sent: %s", id)
	}
	e.When = when
	if len(recipients) == 0 {
		recipients = e.Recipients
	}
	for _, r := range recipients {
		if _, intended := e.Answers[r]; !intended {
			return fmt.Errorf("answer for %s, which %s was not sent to", r, id)
		}
		e.Answers[r] = a
	}
	return nil
}

// isTemporary reads an SMTP code or an exit code of qmail-queue's kind.
func isTemporary(code string) bool {
	n, err := strconv.Atoi(code)
	return err == nil && (n >= 400 && n < 500 || n > 40 && n < 400)
}
