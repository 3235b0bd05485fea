package qmailsend

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"postrider/internal/dsn"
	"postrider/internal/esmtp"
	"postrider/internal/queuedir"
)

// A notice is a multipart/report (RFC 6522): words for a person, fields for
// programs (RFC 3464), and the message. What it says of recipients is read from
// the progress file each time that it is needed: however many there are, memory
// does not grow with them.

// report is a notice that is to be submitted.
type report struct {
	id         queuedir.ID
	notice     notice
	tells      []queuedir.RecordKind // these records
	from, to   int64                 // where they are in the progress file
	recipients int                   // of the message
	finished   queuedir.Bitmap       // recipients that are no longer delayed
	ages       [channels]time.Duration
	facts      esmtp.Message
	now        time.Time
}

// maxOriginals bounds how many recipients are told as the client named them.
const maxOriginals = 10_000

// write writes the message to out. seal is given what makes this notice
// different from another one about the same message.
func (r report) write(out io.Writer, seal io.Writer, l queuedir.Layout, entry *queuedir.Entry) error {
	progress, err := queuedir.OpenFile(l.Info(r.id))
	if err != nil {
		return err
	}
	defer progress.Close() // only read from
	if r.notice.kind == delayNotice {
		fmt.Fprintf(seal, "delay %d %d", r.ages[local], r.ages[remote])
	}
	boundary := "=_" + rand.Text() // nobody can put it into a message before
	w := reportWriter{report: r, out: out, progress: progress}
	w.text(r.notice.header(r.now, boundary))
	if r.notice.isBounce() {
		w.text(r.notice.qsbmf())
		w.each(func(rec queuedir.Record) { w.text(rec.Text) })
		w.text(r.notice.separator())
	}
	before, behind := r.notice.words()
	w.text("--" + boundary + "\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n" + before)
	w.each(func(rec queuedir.Record) {
		if r.notice.kind != delayNotice {
			fmt.Fprintf(seal, "%c%d %d %s", rec.Kind, rec.Indexes[0], rec.Time.Unix(), rec.Text)
		}
		w.text(rec.Text)
	})
	w.text(behind + "\n--" + boundary + "\nContent-Type: message/delivery-status\n\n")
	w.status(entry)
	w.text("--" + boundary + "\nContent-Type: " + r.contentType() + "\nContent-Transfer-Encoding: 8bit\n\n" + r.notice.returned())
	if w.err == nil {
		w.err = copyBody(out, entry, r.notice.short)
	}
	w.text("\n--" + boundary + "--\n")
	return w.err
}

// inherited are the facts of the message that its notices have, too: what may
// go by TLS alone is told of by TLS alone (RFC 8689 section 5).
func (r report) inherited() esmtp.Message { return esmtp.Message{RequireTLS: r.facts.RequireTLS} }

// contentType is that of the part that holds the message (RFC 6533 section 6).
func (r report) contentType() string {
	switch {
	case r.facts.UTF8 && r.notice.short:
		return "message/global-headers"
	case r.facts.UTF8:
		return "message/global"
	case r.notice.short:
		return "text/rfc822-headers"
	}
	return "message/rfc822"
}

// reportWriter writes a report; its first error is the last thing it does.
type reportWriter struct {
	report
	out      io.Writer
	progress *os.File
	err      error
}

func (w *reportWriter) text(s string) {
	if w.err == nil {
		_, w.err = io.WriteString(w.out, s)
	}
}

// each calls visit for each record to be told.
func (w *reportWriter) each(visit func(queuedir.Record)) {
	if w.err != nil {
		return
	}
	seen := queuedir.NewBitmap(w.recipients)
	section := io.NewSectionReader(w.progress, w.from, w.to-w.from)
	good, err := queuedir.ReadRecords(section, func(r queuedir.Record, _ int64) error {
		if !slices.Contains(w.tells, r.Kind) || r.Text == "" {
			return nil
		}
		i := r.Indexes[0]
		if i >= w.recipients {
			return fmt.Errorf("%w: progress of recipient %d of %d", queuedir.ErrDamaged, i, w.recipients)
		}
		if !seen.Has(i) && (w.finished == nil || !w.finished.Has(i)) {
			seen.Set(i)
			visit(r)
		}
		return w.err
	})
	if err == nil && good != section.Size() {
		err = fmt.Errorf("%w: %s", queuedir.ErrDamaged, w.progress.Name())
	}
	if w.err == nil {
		w.err = err
	}
}

// status writes message/delivery-status.
func (w *reportWriter) status(entry *queuedir.Entry) {
	originals := w.originals(entry)
	w.text(string(dsn.Message{Reporter: w.notice.settings.host, EnvelopeID: w.facts.EnvelopeID, Arrival: w.notice.arrival}.Append(nil)))
	w.each(func(rec queuedir.Record) {
		to, said := splitParagraph(rec.Text)
		r := dsn.Recipient{Original: originals[rec.Indexes[0]], Final: to, Attempt: rec.Time, Until: w.notice.until}
		switch rec.Kind {
		case queuedir.Succeeded:
			r.Action, r.Reply = dsn.Delivered, dsn.Success(said)
		case queuedir.Relayed:
			r.Action, r.Reply = dsn.Relayed, dsn.Success(said)
		case queuedir.Deferred:
			r.Action, r.Reply = dsn.Delayed, dsn.Parse(said, false)
		default:
			r.Action, r.Reply = dsn.Failed, dsn.Parse(said, true)
		}
		w.text(string(r.Append(nil)))
	})
}

// tellsAny reports whether there is anything that r would tell.
func (r report) tellsAny(l queuedir.Layout) (any bool, err error) {
	progress, err := queuedir.OpenFile(l.Info(r.id))
	if err != nil {
		return false, err
	}
	defer progress.Close() // only read from
	w := reportWriter{report: r, progress: progress}
	w.each(func(queuedir.Record) { any = true })
	return any, w.err
}

// originals returns what the client called the recipients that are told.
func (w *reportWriter) originals(entry *queuedir.Entry) map[int]string {
	told := queuedir.NewBitmap(w.recipients)
	w.each(func(rec queuedir.Record) { told.Set(rec.Indexes[0]) })
	if w.err != nil {
		return nil
	}
	envelope, err := entry.Envelope()
	if err != nil {
		w.err = err
		return nil
	}
	found := make(map[int]string)
	for i := 0; i < w.recipients && len(found) < maxOriginals; i++ {
		if _, err := envelope.Next(); err != nil {
			if err != io.EOF {
				w.err = err
			}
			break
		}
		if told.Has(i) && envelope.Facts.Original != "" {
			found[i] = envelope.Facts.Original
		}
	}
	return found
}

// splitParagraph is the inverse of paragraph, but for what that changed.
func splitParagraph(text string) (recipient, said string) {
	recipient, said, _ = strings.Cut(text, ">:\n")
	return strings.TrimPrefix(recipient, "<"), said
}

// copyBody writes the message, or its header.
func copyBody(out io.Writer, entry *queuedir.Entry, header bool) error {
	body, err := entry.Body()
	if err != nil {
		return err
	}
	defer body.Close() // only read from
	if !header {
		_, err = io.Copy(out, body)
		return err
	}
	in := bufio.NewReaderSize(body, 16<<10)
	for left, begins := maxHeader, true; ; {
		line, err := in.ReadSlice('\n')
		if begins && (len(line) == 1 && line[0] == '\n' || left < len(line)) {
			return nil
		}
		left -= len(line)
		if _, err := out.Write(line); err != nil {
			return err
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
		begins = err == nil
	}
}

// maxHeader bounds the header that comes back; it ends with a whole line.
const maxHeader = 256 << 10
