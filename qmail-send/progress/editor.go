package progress

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/durable"
	"postrider/internal/queuedir"
	"postrider/internal/wire/manage"
	"postrider/qmail-send/bounce"
)

const (
	// editGroup is how many are made durable each by its own sync, which the
	// disk merges; more than that by one sync of the file system, where that
	// can be relied on: from there on it takes less (docs/performance.md).
	editGroup = 32
)

// Edited is what an editor found and did.
type Edited struct {
	Edit
	file    *os.File  // whose end is not durable yet
	size    int64     // of what was good before
	due     time.Time // its time of the next attempt
	UID     uint32    // whose message it is
	Total   int       // recipients
	Left    int       // recipients that are not finished
	Owed    int       // results to be told
	Held    bool
	Wrote   bool
	Kept    bool           // what could not be made durable could not be taken back either
	Outcome manage.Outcome // of what ended early
	Why     string
}

func (d *Edited) end(o manage.Outcome, text string) *Edited {
	d.Outcome, d.Why = o, text
	return d
}

// Change carries out a batch of messages that are in no hand. due is the time of
// the next attempt of those that have no progress file yet.
func (w Recorder) Change(batch []Edit, due time.Time) []*Edited {
	return editor{recorder: w, due: due}.edit(batch)
}

// editor changes progress files of messages that nobody has in hand.
type editor struct {
	recorder Recorder
	due      time.Time // of a message that has no progress file yet
}

// edit does a batch, and makes it durable.
//
// The order, of each message: its lines are appended, then the time of its next
// attempt is set; nothing is renamed. Then file and directory are synced, with
// those of others. Only after that an order is answered "done". What could not
// be synced is taken back and answered "later"; it is never synced again as it
// is: the next order for the message writes its page anew.
func (w editor) edit(batch []Edit) (done []*Edited) {
	if len(batch) > editGroup && w.recorder.group.Whole() {
		return w.bulk(batch)
	}
	for part := range slices.Chunk(batch, editGroup) {
		done = append(done, w.some(part)...)
	}
	return done
}

// some makes each file of a batch durable by itself.
func (w editor) some(batch []Edit) (done []*Edited) {
	ticket := w.recorder.group.Begin()
	var files []durable.Syncer
	var dirs []durable.Directory
	for _, e := range batch {
		d := w.begin(e)
		if d.file != nil {
			files = append(files, d.file)
			dirs = append(dirs, durable.Directory{Tree: w.recorder.tree, Name: d.ID.Bucket()})
		}
		done = append(done, d)
	}
	if len(files) == 0 {
		return done
	}
	err := w.recorder.group.Wait(ticket, files, dirs...)
	for _, d := range done {
		if d.file == nil {
			continue
		}
		if err != nil {
			w.undo(d, err)
		} else if err := d.close(); err != nil {
			w.undo(d, err)
		}
	}
	return done
}

// bulk makes all files of a batch durable by one sync of the file system, which
// finds also those that are closed by then. The last one stays open: it is asked
// for by itself afterwards, and its time is set again, since a file system that
// takes no changes any more has nothing to sync, and must not have said yes.
func (w editor) bulk(batch []Edit) (done []*Edited) {
	ticket := w.recorder.group.Begin()
	var last *Edited
	var written []*Edited
	for _, e := range batch {
		runtime.Gosched() // the scheduler has the same processor, and other work
		d := w.begin(e)
		done = append(done, d)
		if d.file == nil {
			continue
		}
		if last != nil {
			if err := last.close(); err != nil {
				w.undo(last, err)
			} else {
				written = append(written, last)
			}
		}
		last = d
	}
	if last == nil {
		return done
	}
	err := w.recorder.group.Bulk(ticket, last.file)
	if err == nil {
		err = setDue(last.file, last.due)
	}
	if closeErr := last.close(); err == nil {
		err = closeErr
	}
	if err != nil {
		for _, d := range append(written, last) {
			w.undo(d, err)
		}
	}
	return done
}

// begin writes what e wants. Only if the file is open afterwards there is
// something to be made durable.
func (w editor) begin(e Edit) *Edited {
	d := &Edited{Edit: e}
	if err := w.one(d); errors.Is(err, fs.ErrNotExist) {
		d.end(manage.Missing, "")
	} else if err != nil {
		if d.file != nil {
			w.undo(d, err)
		}
		d.end(manage.Later, err.Error())
	}
	return d
}

func (d *Edited) close() error {
	err := d.file.Close()
	d.file = nil
	return err
}

// undo takes back what could not be made durable, as far as that is possible.
func (w editor) undo(d *Edited, err error) {
	d.end(manage.Later, "cannot be written: "+err.Error())
	f := d.file
	if f == nil {
		if f, err = os.OpenFile(w.recorder.layout.Info(d.ID), os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0); err != nil {
			d.Kept = true
			return
		}
	}
	d.Kept = f.Truncate(d.size) != nil // who reads on finds the end torn, or what was wanted
	_ = setDue(f, d.due)               // or else it is tried too soon after a restart
	_ = f.Close()                      // the order is answered "later"
	d.file = nil
}

// one reads a message and writes what its progress file is to say; an error is
// one of the queue. What cannot be done is in d.outcome.
func (w editor) one(d *Edited) error {
	entry, err := queuedir.OpenEntry(w.recorder.layout, d.ID)
	if err != nil {
		return err
	}
	defer entry.Close()
	envelope, err := entry.Envelope()
	if err != nil {
		return err
	}
	d.UID = envelope.Head.UID
	if !d.From.Owns(d.UID) {
		d.end(manage.Missing, "")
		return nil
	}
	if d.Kind == manage.Delete && len(d.Recipients) == 0 {
		return nil // all of it goes, whatever was done of it
	}
	if d.Total, err = entry.CountRecipients(); err != nil {
		return err
	}
	f, size, due, err := w.open(d.ID)
	if err != nil {
		return err
	}
	p := queuedir.Progress{Finished: queuedir.NewBitmap(d.Total)}
	if size > 0 {
		p, err = queuedir.ReadProgress(f, d.Total)
	}
	var lines []byte
	if err == nil {
		d.size = p.Size
		lines, err = d.Decide(envelope, p)
	}
	if err != nil || len(lines) == 0 {
		if f != nil {
			_ = f.Close() // only read from
		}
		return err
	}
	d.file, d.due = f, due
	return w.append(d, p.Mend(lines))
}

// open opens the progress file of a message to be read and appended to; nil: it has
// none. due is the time of its next attempt.
func (w editor) open(id queuedir.ID) (f *os.File, size int64, due time.Time, err error) {
	name := w.recorder.layout.Info(id)
	f, err = os.OpenFile(name, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, 0, w.due, nil
	}
	if err != nil {
		return nil, 0, due, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: queuedir.ErrNotFile}
	}
	if err != nil {
		_ = f.Close() // nothing was written
		return nil, 0, due, err
	}
	return f, info.Size(), info.ModTime(), nil
}

// append appends lines to the file that is open, or to a new one.
func (w editor) append(d *Edited, lines []byte) (err error) {
	if d.file == nil {
		name := w.recorder.layout.Info(d.ID)
		if d.file, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600); err != nil {
			d.file = nil
			return err
		}
	}
	d.Wrote = true
	if err := w.recorder.fill(d.file, Record{ID: d.ID, Lines: lines, Size: d.size}); err != nil {
		return err
	}
	return setDue(d.file, d.due)
}

// Decide returns the lines that the progress file is to get of a message of
// which p is known, and which has d.Total recipients; none: d.Outcome says how it
// ends without. An error is one of the envelope. It writes nothing.
func (d *Edited) Decide(envelope *queuedir.EnvelopeReader, p queuedir.Progress) (lines []byte, err error) {
	d.Held, d.Owed = p.Held, p.Unbounced
	d.Left = d.Total - p.Delivered - p.Failed
	lines, err = d.decide(envelope, p)
	if err == nil && len(lines) == 0 && d.Restate {
		kind := queuedir.Released
		if p.Held {
			kind = queuedir.Held
		}
		lines = queuedir.AppendOrder(nil, queuedir.Record{Kind: kind}, d.From.UID, d.At)
	}
	return lines, err
}

func (d *Edited) decide(envelope *queuedir.EnvelopeReader, p queuedir.Progress) (lines []byte, err error) {
	switch d.Kind {
	case manage.Hold:
		if p.Held {
			d.end(manage.Nothing, "it is held already")
			return nil, nil
		}
		d.Held = true
		return d.Record(queuedir.Held, nil), nil
	case manage.Release:
		if !p.Held {
			d.end(manage.Nothing, "it is not held")
			return nil, nil
		}
		d.Held = false
		return d.Record(queuedir.Released, nil), nil
	}
	indexes, ok := d.wanted(p)
	if !ok {
		return nil, nil
	}
	switch d.Kind {
	case manage.Readdress:
		return d.Record(queuedir.Readdress, indexes), nil
	case manage.Reroute:
		return d.Record(queuedir.Reroute, indexes), nil
	}
	return d.failures(envelope, p, indexes)
}

// wanted returns the recipients that are meant and not finished.
func (d *Edited) wanted(p queuedir.Progress) (indexes []int, ok bool) {
	for _, i := range d.Recipients {
		switch {
		case i >= d.Total:
			d.end(manage.Refused, fmt.Sprintf("it has %d recipients", d.Total))
			return nil, false
		case p.Finished.Has(i):
			d.end(manage.Refused, fmt.Sprintf("recipient %d is done", i+1))
			return nil, false
		}
	}
	if len(d.Recipients) > 0 {
		return d.Recipients, true
	}
	for i := range d.Total {
		if !p.Finished.Has(i) {
			indexes = append(indexes, i)
		}
	}
	if len(indexes) == 0 {
		d.end(manage.Nothing, "all recipients are done")
		return nil, false
	}
	return indexes, true
}

// failures makes recipients fail: with a text for the sender if they are
// bounced, and without one if they are deleted.
func (d *Edited) failures(envelope *queuedir.EnvelopeReader, p queuedir.Progress, indexes []int) (lines []byte, err error) {
	reason := d.Text
	if reason == "" {
		reason = "The administrator of this host has returned the message."
	}
	for i := 0; len(indexes) > 0; i++ {
		recipient, err := envelope.Next()
		if err == io.EOF {
			return nil, queuedir.ErrDamaged
		}
		if err != nil {
			return nil, err
		}
		if i != indexes[0] {
			continue
		}
		indexes = indexes[1:]
		text := ""
		if d.Kind == manage.Bounce && envelope.Facts.Notify.WantsFailure() {
			shown := recipient.String()
			if to := p.Changes[i].Address; to != "" {
				shown = to
			}
			text = bounce.Paragraph(shown, reason+" (#5.7.0)\n")
			d.Owed++
		}
		lines = queuedir.AppendFailed(lines, i, d.At, text)
		d.Left--
	}
	if d.Left == 0 && d.Held { // what is left is to tell the sender
		lines = append(lines, queuedir.AppendOrder(nil, queuedir.Record{Kind: queuedir.Released}, d.From.UID, d.At)...)
		d.Held = false
	}
	return lines, nil
}
