package queuectl

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/priv"
	"postrider/internal/queuedir"
)

// Messages are put into the queue in batches, so that each is there once,
// whatever interrupts it: under hidden names, then into a journal, beside what
// is imported, as "intent"; then they get their names; then the journal says
// "done". A later run passes over what is done. An intent without a done whose
// hidden file is gone has its name.
//
// The progress file comes before the entry has its name: who finds the entry
// finds it. Both have no other order that is safe: see the scan of qmail-send
// and the sweep of qmail-spool.

// placeBatch is how many messages become durable together.
const placeBatch = 128

// item is a message to be put into the queue. What it is read from is open.
type item struct {
	key      string      // in the journal
	id       queuedir.ID // if it is free
	entry    io.Reader
	body     io.Reader // nil: it is in the entry
	progress []byte    // nil: none
	due      time.Time // of a message with progress
	close    func()
}

// placer puts messages into the queue.
type placer struct {
	layout      queuedir.Layout
	spool, send *priv.Identity // nil: everything is ours
	journal     *os.File
	done        map[string]bool
	intents     map[string]queuedir.ID
	batch       []item
	placed      int
}

// newPlacer opens the journal, and finishes what an earlier run has begun.
func newPlacer(home string, journal string) (*placer, error) {
	p := &placer{layout: queuedir.At(home), done: make(map[string]bool), intents: make(map[string]queuedir.ID)}
	in, err := priv.Examine(home)
	if err != nil {
		return nil, err
	}
	if !in.Private {
		if p.spool, err = identityOf("qmail-spool"); err != nil {
			return nil, err
		}
		if p.send, err = identityOf("qmail-send"); err != nil {
			return nil, err
		}
	}
	p.journal, err = os.OpenFile(journal, os.O_RDWR|os.O_CREATE|os.O_APPEND|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	// Two imports at once would each take what the other has not noted yet.
	if err = unix.Flock(int(p.journal.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == unix.EWOULDBLOCK {
		err = errors.New("another import of this is under way")
	}
	if err == nil {
		err = p.readJournal()
	}
	if err == nil {
		err = p.finishIntents()
	}
	if err != nil {
		_ = p.journal.Close() // only read from
		return nil, err
	}
	return p, nil
}

func identityOf(program string) (*priv.Identity, error) {
	role, _ := priv.RoleOf(program)
	id, err := role.Identity()
	return &id, err
}

// readJournal reads what earlier runs did. A line that is cut says nothing: it
// was not relied on.
func (p *placer) readJournal() error {
	in := bufio.NewReader(p.journal)
	for {
		line, err := in.ReadString('\n')
		if err == io.EOF {
			if line != "" { // the next line is not to be joined to it
				_, err = p.journal.WriteString("\n")
				return err
			}
			return nil
		}
		if err != nil {
			return err
		}
		fields := strings.Fields(line)
		switch {
		case len(fields) == 2 && fields[0] == "done":
			p.done[fields[1]] = true
			delete(p.intents, fields[1])
		case len(fields) == 3 && fields[0] == "intent":
			if id, err := queuedir.ParseID(fields[2]); err == nil {
				p.intents[fields[1]] = id
			}
		}
	}
}

// finishIntents gives their names to what has been prepared.
func (p *placer) finishIntents() error {
	var batch []item
	for key, id := range p.intents {
		batch = append(batch, item{key: key, id: id})
	}
	if len(batch) == 0 {
		return nil
	}
	return p.publish(batch)
}

// add puts a message into the next batch, and owns what it holds open.
func (p *placer) add(it item) error {
	p.batch = append(p.batch, it)
	if len(p.batch) < placeBatch {
		return nil
	}
	return p.flush()
}

// flush puts the batch into the queue.
func (p *placer) flush() error {
	batch := p.batch
	p.batch = nil
	defer func() {
		for _, it := range batch {
			it.close()
		}
	}()
	if len(batch) == 0 {
		return nil
	}
	used := make(map[queuedir.ID]bool)
	for i := range batch {
		if err := p.free(&batch[i], used); err != nil {
			return err
		}
	}
	err := priv.ForFiles(p.spool, func() error {
		unix.Umask(0o027)
		return each(batch, p.stage)
	})
	if err == nil {
		err = priv.ForFiles(p.send, func() error {
			unix.Umask(0o077)
			return each(batch, p.stageProgress)
		})
	}
	if err == nil {
		err = p.note("intent", batch)
	}
	if err != nil {
		return err
	}
	if err := p.publish(batch); err != nil {
		return err
	}
	p.placed += len(batch)
	return nil
}

func each(batch []item, do func(item) error) error {
	for _, it := range batch {
		if err := do(it); err != nil {
			return err
		}
	}
	return nil
}

// free gives it a number that no message has: the one that it wants, or one of
// the same time.
func (p *placer) free(it *item, used map[queuedir.ID]bool) error {
	for n := range 100 * queuedir.Buckets {
		id := it.id
		if n > 0 {
			id = queuedir.NewID(it.id.Time(), n/queuedir.Buckets, n)
		}
		_, entryErr := os.Lstat(p.layout.Entry(id))
		_, infoErr := os.Lstat(p.layout.Info(id))
		if !used[id] && errors.Is(entryErr, fs.ErrNotExist) && (errors.Is(infoErr, fs.ErrNotExist) || p.isStaged(id)) {
			it.id = id
			used[id] = true
			return nil
		}
	}
	return fmt.Errorf("no free message number at %s", it.id.Time())
}

// isStaged reports whether an earlier run has left a hidden entry with that
// number, that no journal knows.
func (p *placer) isStaged(id queuedir.ID) bool {
	_, err := os.Lstat(p.layout.Staged(id))
	return err == nil
}

// stageProgress writes the progress file.
func (p *placer) stageProgress(it item) error {
	if it.progress == nil {
		return nil
	}
	name := p.layout.Info(it.id)
	if err := write(name, strings.NewReader(string(it.progress)), 0o600); err != nil {
		return err
	}
	return os.Chtimes(name, time.Time{}, it.due)
}

// stage writes the entry under its hidden name.
func (p *placer) stage(it item) error {
	if it.body != nil {
		if err := write(p.layout.Staged(it.id)+queuedir.BodySuffix, it.body, 0o640); err != nil {
			return err
		}
	}
	return write(p.layout.Staged(it.id), it.entry, 0o640)
}

func write(name string, from io.Reader, mode fs.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	if closeErr := f.Close(); err == nil { // synced with all others
		err = closeErr
	}
	return err
}

// note makes everything so far durable, and then lines of the journal.
func (p *placer) note(word string, batch []item) error {
	if err := p.sync(); err != nil {
		return err
	}
	var b strings.Builder
	for _, it := range batch {
		b.WriteString(word + " " + it.key)
		if word == "intent" {
			b.WriteString(" " + it.id.String())
		}
		b.WriteByte('\n')
	}
	if _, err := p.journal.WriteString(b.String()); err != nil {
		return err
	}
	return p.journal.Sync()
}

// sync makes all of the queue's file system durable: one call for a batch.
func (p *placer) sync() error {
	dir, err := queuedir.OpenDir(p.layout.NewDir(queuedir.BucketName(0)))
	if err != nil {
		return err
	}
	defer dir.Close() // only read from
	return os.NewSyscallError("syncfs", unix.Syncfs(int(dir.Fd())))
}

// publish gives a batch its names, the bodies before the entries.
func (p *placer) publish(batch []item) error {
	err := priv.ForFiles(p.spool, func() error {
		return each(batch, func(it item) error {
			from, to := p.layout.Staged(it.id), p.layout.Entry(it.id)
			if err := rename(from+queuedir.BodySuffix, to+queuedir.BodySuffix); err != nil {
				return err
			}
			return rename(from, to)
		})
	})
	if err != nil {
		return err
	}
	if err := p.note("done", batch); err != nil {
		return err
	}
	for _, it := range batch {
		p.done[it.key] = true
	}
	return nil
}

// rename gives a hidden file its name; one that is gone has it.
func rename(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if err == unix.ENOENT {
		return nil
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// finish puts the rest into the queue, and ends.
func (p *placer) finish() error {
	err := p.flush()
	if closeErr := p.journal.Close(); err == nil {
		err = closeErr
	}
	return err
}
