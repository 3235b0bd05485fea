package ledger

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Delivery is a message in a mailbox or a sink.
type Delivery struct {
	Place     string // file or sink, for the report
	Recipient string // whose mailbox, or the envelope recipient
	Sender    string // envelope sender
	Text      string
	When      time.Time
	// QueueID is the number in the scheduler's log; found in Text if empty.
	QueueID string
	// Forwarded is the way of a copy that .qmail files sent on: each entry of
	// the queue that it became, and for whom.
	Forwarded []Hop
}

// Hop is an entry of the queue and the recipient whose delivery it is about.
type Hop struct{ QueueID, Recipient string }

// Queued is a message in a queue file.
type Queued struct {
	ID         string
	Recipients []string // those of the ledger's that the file names; nil: all
	File       string
}

// Evidence is everything that was found.
type Evidence struct {
	Deliveries []Delivery
	Queue      []Queued
	Log        []LogLine
	// Leftovers names what a system at rest has not: files in tmp, strange
	// processes, locks.
	Leftovers []string
	// Torn is how many copies a killed delivery left unfinished in an mbox.
	Torn int
	// Working says that the queue may still hold mail.
	Working bool
}

// LogLine is a line of the scheduler's log.
type LogLine struct {
	When time.Time
	Text string
}

// maxQueueFile bounds what is read of one queue file. Ledger ids are in the
// header, envelopes of these tests are short.
const maxQueueFile = 64 << 20

// ScanQueue reads all files below dirs raw, whatever their format, and finds
// the messages of a ledger in them. Files that vanish meanwhile are as good
// as not there.
func ScanQueue(l *Ledger, dirs ...string) ([]Queued, error) {
	var found []Queued
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			q, err := scanFile(l, path)
			found = append(found, q...)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

func scanFile(l *Ledger, path string) ([]Queued, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxQueueFile {
		return nil, errors.New(path + " is larger than any file of a test")
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	text := string(data)
	var found []Queued
	for _, m := range rawID.FindAllStringSubmatch(text, -1) {
		q := Queued{ID: m[1], File: path, Recipients: []string{}}
		l.mu.Lock()
		e := l.entries[q.ID]
		l.mu.Unlock()
		if e == nil {
			found = append(found, q)
			continue
		}
		for _, r := range e.Recipients {
			// The file of a large body has no envelope: it says nothing
			// about recipients, and the file with the envelope has no id.
			if strings.HasSuffix(path, ".body") || strings.Contains(text, "T"+r+"\x00") {
				q.Recipients = append(q.Recipients, r)
			}
		}
		found = append(found, q)
	}
	return found, nil
}
