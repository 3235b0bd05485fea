package queuectl

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"postrider/internal/queuedir"
	"postrider/internal/wire/manage"
)

// journalName is where a queue that is imported remembers what was.
const journalName = "postrider-import"

// importAll is the command import.
func (r *run) importAll(operands []string) error {
	if len(operands) != 1 {
		return errUsage("import takes a file or a directory")
	}
	from := operands[0]
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	switch {
	case !info.IsDir():
		err = r.importArchive(from)
	case isClassic(from):
		err = r.importClassic(from)
	default:
		err = r.importQueue(queuedir.Layout{Root: from}, filepath.Join(from, journalName))
	}
	if err != nil {
		return err
	}
	return r.rescan()
}

// rescan has qmail-send look for what was imported; one that does not run will
// when it starts.
func (r *run) rescan() error {
	client, err := manage.Dial(r.layout.Manage())
	if errors.Is(err, manage.ErrNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	defer client.Close()
	return client.Scan()
}

// imported tells how many there were.
func (r *run) imported(p *placer, before, skipped int) error {
	_, err := fmt.Fprintf(r.out, "imported: %d; imported before: %d; nothing to do: %d\n", p.placed, before, skipped)
	return err
}

// skip tells that a message cannot be imported; others go on.
func (r *run) skip(what string, err error) {
	r.failed = true
	r.complain("warning: not imported: %s: %v", what, err)
}

// importClassic imports a queue of qmail.
func (r *run) importClassic(dir string) error {
	q, err := openClassic(dir, r.world.Home)
	if err != nil {
		return err
	}
	defer q.close()
	p, err := newPlacer(r.world.Home, filepath.Join(dir, journalName))
	if err != nil {
		return err
	}
	all, err := q.messages()
	if err != nil {
		return err
	}
	before, skipped := 0, 0
	for _, m := range all {
		if p.done[m.number] {
			before++
			continue
		}
		it, err := q.convert(m, r.choice.now)
		switch {
		case err != nil:
			r.skip(m.number, err)
		case it == nil:
			skipped++
		default:
			if err := p.add(*it); err != nil {
				return err
			}
		}
	}
	if err := p.finish(); err != nil {
		return err
	}
	return r.imported(p, before, skipped)
}

// importQueue imports the entries of a queue of this suite that is not in use.
func (r *run) importQueue(from queuedir.Layout, journal string) error {
	if same, err := sameDirectory(from.Root, r.layout.Root); err != nil || same {
		return errors.Join(err, errOwnQueue)
	}
	if f, err := os.OpenFile(from.SendLock(), os.O_WRONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0); err == nil {
		defer f.Close() // not written to
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == unix.EWOULDBLOCK {
			return errClassicRuns
		}
	}
	var unread error // it is no queue, or not all of one
	ids := (&source{layout: from, trouble: func(_ string, err error) { unread = errors.Join(unread, err) }}).all()
	if unread != nil {
		return unread
	}
	p, err := newPlacer(r.world.Home, journal)
	if err != nil {
		return err
	}
	before := 0
	for _, id := range ids {
		if p.done[id.String()] {
			before++
			continue
		}
		it, err := queued(from, id)
		if err != nil {
			r.skip(id.String(), err)
			continue
		}
		if err := p.add(*it); err != nil {
			return err
		}
	}
	if err := p.finish(); err != nil {
		return err
	}
	return r.imported(p, before, 0)
}

// queued makes an item of an entry of another queue, which is checked as a
// whole.
func queued(l queuedir.Layout, id queuedir.ID) (*item, error) {
	entry, err := queuedir.OpenEntry(l, id)
	if err != nil {
		return nil, err
	}
	defer entry.Close()
	if err := entry.CheckBody(); err != nil {
		return nil, err
	}
	recipients, err := entry.CountRecipients()
	if err != nil {
		return nil, err
	}
	var open []*os.File
	it := &item{key: id.String(), id: id, close: func() {
		for _, f := range open {
			_ = f.Close() // only read from
		}
	}}
	take := func(name string) (*os.File, error) {
		f, err := queuedir.OpenFile(name)
		if err == nil {
			open = append(open, f)
		}
		return f, err
	}
	f, err := take(l.Entry(id))
	if err == nil {
		it.entry = f
		err = it.takeProgress(l, id, recipients)
	}
	if err == nil && !entry.Footer.Inline {
		it.body, err = take(l.Body(id))
	}
	if err != nil {
		it.close()
		return nil, err
	}
	return it, nil
}

// takeProgress reads what is good of a progress file.
func (it *item) takeProgress(l queuedir.Layout, id queuedir.ID, recipients int) error {
	f, err := queuedir.OpenFile(l.Info(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close() // only read from
	p, err := queuedir.ReadProgress(f, recipients)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	it.due = info.ModTime()
	it.progress = make([]byte, p.Size)
	_, err = io.ReadFull(io.NewSectionReader(f, 0, p.Size), it.progress)
	return err
}
