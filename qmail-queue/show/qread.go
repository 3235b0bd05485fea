package show

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"postrider/internal/control"
	"postrider/internal/legible"
	"postrider/internal/queuedir"
	"postrider/internal/route"
	"postrider/internal/world"
)

// reader is one run of qmail-qread.
type reader struct {
	layout queuedir.Layout
	routes *route.Table
	out    *bufio.Writer
}

// Read is qmail-qread. As qmail's, it writes its troubles to standard output,
// too.
func Read(w world.World) int {
	r := &reader{layout: queuedir.At(w.Home), out: bufio.NewWriterSize(w.Stdout, 32<<10)}
	err := r.run(control.Dir(w.Home + "/control"))
	if err != nil {
		_, _ = fmt.Fprintf(r.out, "fatal: %s\n", legible.ASCII(err.Error()))
	}
	if flushErr := r.out.Flush(); flushErr != nil && err == nil {
		err = flushErr
		_, _ = fmt.Fprintf(w.Stderr, "qmail-qread: fatal: unable to write: %v\n", err)
	}
	if err != nil {
		return exitTemporary
	}
	return 0
}

func (r *reader) run(dir control.Dir) error {
	var err error
	if r.routes, err = route.Read(dir); err != nil {
		return fmt.Errorf("unable to read controls: %w", err)
	}
	err = entries(r.layout, func(id queuedir.ID) error { return r.note(id, r.message(id)) })
	if errors.Is(err, errNotPermitted) {
		return r.own(err)
	}
	return err
}

// note tells of trouble with a message that is still there; others go on.
func (r *reader) note(id queuedir.ID, err error) error {
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		_, _ = fmt.Fprintf(r.out, "warning: trouble with #%s: %s\n", id, legible.ASCII(err.Error()))
	}
	return r.broken()
}

// broken returns the error of the output, which ends everything.
func (r *reader) broken() error {
	_, err := r.out.Write(nil)
	return err
}

// message writes the line of a message and those of its recipients.
func (r *reader) message(id queuedir.ID) error {
	entry, err := queuedir.OpenEntry(r.layout, id)
	if err != nil {
		return err
	}
	defer entry.Close()
	f, err := queuedir.OpenFile(r.layout.Info(id))
	switch {
	case err == nil:
		defer f.Close() // only read from
		return r.show(entry, f)
	case errors.Is(err, fs.ErrNotExist):
		return r.show(entry, strings.NewReader(""))
	}
	return err
}

// show writes the lines of a message; without a progress file, which is then
// empty, nothing was done for it.
func (r *reader) show(entry *queuedir.Entry, info io.Reader) error {
	recipients, err := entry.CountRecipients()
	if err != nil {
		return err
	}
	progress, err := queuedir.ReadProgress(info, recipients)
	if err != nil {
		return err
	}
	envelope, err := entry.Envelope()
	if err != nil {
		return err
	}
	bouncing := ""
	if progress.Unbounced > 0 {
		bouncing = " bouncing"
	}
	if progress.Held {
		bouncing += " held"
	}
	_, _ = fmt.Fprintf(r.out, "%s  #%s  %d  <%s> %s\n", date(envelope.Head.Arrived), entry.ID,
		entry.Footer.BodySize, legible.ASCII(envelope.Head.Sender.String()), bouncing)
	for i := range recipients {
		recipient, err := envelope.Next()
		if err != nil {
			return err
		}
		done := ""
		if progress.Finished.Has(i) {
			done = "  done"
		}
		to := recipient.String()
		if changed := progress.Changes[i].Address; changed != "" {
			to = changed
		}
		channel, shown := r.routes.Of(to)
		_, _ = fmt.Fprintf(r.out, "%s\t%s\t%s\n", done, channel, legible.ASCII(shown))
	}
	return nil
}

func date(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04:05 GMT") }
