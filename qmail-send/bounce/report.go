package bounce

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
	"postrider/internal/route"
)

// A notice is a multipart/report (RFC 6522): words for a person, fields for
// programs (RFC 3464), and the message. What it says of recipients is read from
// the progress file each time that it is needed: however many there are, memory
// does not grow with them.

// Report is a notice that is to be submitted.
type Report struct {
	ID         queuedir.ID
	Notice     Notice
	Tells      []queuedir.RecordKind // these records
	From, To   int64                 // where they are in the progress file
	Recipients int                   // of the message
	Finished   queuedir.Bitmap       // recipients that are no longer delayed
	Ages       [route.Channels]time.Duration
	Facts      esmtp.Message
	Now        time.Time
}

// maxOriginals bounds how many recipients are told as the client named them.
const maxOriginals = 10_000

// write writes the message to out. seal is given what makes this notice
// different from another one about the same message.
func (r Report) write(out io.Writer, seal io.Writer, l queuedir.Layout, entry *queuedir.Entry) error {
	progress, err := queuedir.OpenFile(l.Info(r.ID))
	if err != nil {
		return err
	}
	defer progress.Close() // only read from
	if r.Notice.Kind == Delay {
		fmt.Fprintf(seal, "delay %d %d", r.Ages[route.Local], r.Ages[route.Remote])
	}
	boundary := "=_" + rand.Text() // nobody can put it into a message before
	w := reportWriter{Report: r, out: out, progress: progress}
	w.text(r.Notice.header(r.Now, boundary))
	if r.Notice.isBounce() {
		w.text(r.Notice.qsbmf())
		w.each(func(rec queuedir.Record) { w.text(rec.Text) })
		w.text(r.Notice.separator())
	}
	before, behind := r.Notice.words()
	w.text("--" + boundary + "\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n" + before)
	w.each(func(rec queuedir.Record) {
		if r.Notice.Kind != Delay {
			fmt.Fprintf(seal, "%c%d %d %s", rec.Kind, rec.Indexes[0], rec.Time.Unix(), rec.Text)
		}
		w.text(rec.Text)
	})
	w.text(behind + "\n--" + boundary + "\nContent-Type: message/delivery-status\n\n")
	w.status(entry)
	w.text("--" + boundary + "\nContent-Type: " + r.contentType() + "\nContent-Transfer-Encoding: 8bit\n\n" + r.Notice.returned())
	if w.err == nil {
		w.err = copyBody(out, entry, r.Notice.Short)
	}
	w.text("\n--" + boundary + "--\n")
	return w.err
}

// inherited are the facts of the message that its notices have, too: what may
// go by TLS alone is told of by TLS alone (RFC 8689 section 5).
func (r Report) inherited() esmtp.Message { return esmtp.Message{RequireTLS: r.Facts.RequireTLS} }

// contentType is that of the part that holds the message (RFC 6533 section 6).
func (r Report) contentType() string {
	switch {
	case r.Facts.UTF8 && r.Notice.Short:
		return "message/global-headers"
	case r.Facts.UTF8:
		return "message/global"
	case r.Notice.Short:
		return "text/rfc822-headers"
	}
	return "message/rfc822"
}

// reportWriter writes a report; its first error is the last thing it does.
type reportWriter struct {
	Report
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
	seen := queuedir.NewBitmap(w.Recipients)
	section := io.NewSectionReader(w.progress, w.From, w.To-w.From)
	good, err := queuedir.ReadRecords(section, func(r queuedir.Record, _ int64) error {
		if !slices.Contains(w.Tells, r.Kind) || r.Text == "" {
			return nil
		}
		i := r.Indexes[0]
		if i >= w.Recipients {
			return fmt.Errorf("%w: progress of recipient %d of %d", queuedir.ErrDamaged, i, w.Recipients)
		}
		if !seen.Has(i) && (w.Finished == nil || !w.Finished.Has(i)) {
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
	w.text(string(dsn.Message{Reporter: w.Notice.Settings.Host, EnvelopeID: w.Facts.EnvelopeID, Arrival: w.Notice.Arrival}.Append(nil)))
	w.each(func(rec queuedir.Record) {
		to, said := splitParagraph(rec.Text)
		r := dsn.Recipient{Original: originals[rec.Indexes[0]], Final: to, Attempt: rec.Time, Until: w.Notice.Until}
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
func (r Report) tellsAny(l queuedir.Layout) (any bool, err error) {
	progress, err := queuedir.OpenFile(l.Info(r.ID))
	if err != nil {
		return false, err
	}
	defer progress.Close() // only read from
	w := reportWriter{Report: r, progress: progress}
	w.each(func(queuedir.Record) { any = true })
	return any, w.err
}

// originals returns what the client called the recipients that are told.
func (w *reportWriter) originals(entry *queuedir.Entry) map[int]string {
	told := queuedir.NewBitmap(w.Recipients)
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
	for i := 0; i < w.Recipients && len(found) < maxOriginals; i++ {
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
