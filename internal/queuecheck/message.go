package queuecheck

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/queuedir"
)

const (
	// hiddenPrefix begins the names of what an import has begun, and of progress
	// that is written anew.
	hiddenPrefix = "."
	// keptSuffix ends the name of the progress of a message that is in bad/.
	keptSuffix = ".bad"
	// stagedAge is when an import that has begun a message is over.
	stagedAge = time.Hour
	// putBackAge is how much later than its message an entry may be written.
	putBackAge = time.Hour
)

// newName is a name in a bucket of new/.
func (c *check) newName(p place, st *unix.Stat_t) []Finding {
	path := p.path()
	base, hidden := strings.CutPrefix(p.name, hiddenPrefix)
	number, isBody := strings.CutSuffix(base, queuedir.BodySuffix)
	id, err := queuedir.ParseID(number)
	if err != nil {
		return []Finding{unknown(path)}
	}
	if hidden {
		return c.staged(path, st)
	}
	if right := c.below(c.Layout.NewDir(id.Bucket())); right != p.dir {
		return []Finding{misplaced(path, right+"/"+p.name)}
	}
	if !isRegular(st) && (!isBody || c.exists(c.entry(id))) {
		return []Finding{hands(path, WrongType, "is "+typeOf(st), "the message waits", backup)}
	}
	if isBody {
		return append(c.body(id, path, st), c.rightsFound(path, st, rightsOfEntry)...)
	}
	return append(c.message(id, path, st), c.rightsFound(path, st, rightsOfEntry)...)
}

func (c *check) entry(id queuedir.ID) string { return c.below(c.Layout.Entry(id)) }
func (c *check) info(id queuedir.ID) string  { return c.below(c.Layout.Info(id)) }

// hasEntry reports whether a message is there, or about to come: in this order,
// one becomes the other.
func (c *check) hasEntry(id queuedir.ID) bool {
	return c.exists(c.below(c.Layout.Staged(id))) || c.exists(c.entry(id))
}

// staged is what an import has begun.
func (c *check) staged(path string, st *unix.Stat_t) []Finding {
	const what = "is a message that qmail-queuectl import has begun to put here"
	if c.Clock.Now().Sub(changed(st)) < stagedAge {
		return []Finding{own(path, Staged, what, "the import gives it its name", "repeat the import, if it was interrupted").passes()}
	}
	return []Finding{hands(path, Staged, what, "it stays, and is not delivered", "repeat the import, which finishes it")}
}

// body is a body in the place where it belongs.
func (c *check) body(id queuedir.ID, path string, st *unix.Stat_t) []Finding {
	if c.hasEntry(id) {
		return nil
	}
	if isDir(st) {
		return []Finding{hands(path, WrongType, "is a directory", "it stays", "take it away")}
	}
	aside := "bad/" + id.String() + queuedir.BodySuffix
	return []Finding{own(path, OrphanBody, "is the body of a message whose entry is not there", "qmail-spool removes it, at its start or within an hour",
		"if a backup has "+c.entry(id)+", put that back while the suite is stopped; --repair moves the body to "+aside).
		with(remedy{to: aside}).passes()}
}

// message is an entry in the place where it belongs.
func (c *check) message(id queuedir.ID, path string, st *unix.Stat_t) []Finding {
	entry, err := queuedir.OpenEntry(c.Layout, id)
	if err == nil {
		defer entry.Close()
		var recipients int
		if recipients, err = entry.CountRecipients(); err == nil {
			if err = entry.CheckBody(); err == nil {
				c.count(id, st)
				return c.progress(id, recipients)
			}
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), isNoFile(err): // told of the body itself
		return nil
	case errors.Is(err, queuedir.ErrNewer):
		return []Finding{hands(path, Newer, c.reason(path, err), "it waits", "run the later release again")}
	case errors.Is(err, queuedir.ErrTorn):
		return []Finding{c.torn(id, path, entry, err)}
	case errors.Is(err, queuedir.ErrDamaged):
		return []Finding{c.damaged(id, path, err)}
	}
	return []Finding{c.cannotRead(path, err)}
}

// isNoFile reports whether something else than a file could not be opened as one.
func isNoFile(err error) bool {
	return errors.Is(err, queuedir.ErrNotFile) || errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENXIO)
}

// reason is an error about a file of the queue, by its name there.
func (c *check) reason(path string, err error) string {
	text := strings.ReplaceAll(err.Error(), c.Layout.Root+"/", "")
	return strings.TrimPrefix(text, path+": ")
}

// count counts a whole message.
func (c *check) count(id queuedir.ID, st *unix.Stat_t) {
	if !c.counting {
		return
	}
	c.sum.Messages++
	tried := c.exists(c.info(id))
	if tried {
		c.sum.Tried++
	}
	if changed(st).Sub(id.Time()) > putBackAge {
		c.sum.PutBack++
		if !tried {
			c.sum.Untried++
		}
	}
}

// wasTried reports whether there is progress, and so somebody was told that the
// message is accepted.
func (c *check) wasTried(id queuedir.ID) bool {
	return c.exists(c.info(id)) || c.exists(c.info(id)+keptSuffix)
}

// torn is an entry that ends early, or whose body does. entry is nil in the first
// case.
func (c *check) torn(id queuedir.ID, path string, entry *queuedir.Entry, err error) Finding {
	f := own(path, Torn, "is not whole: "+c.reason(path, err)+"; no attempt is known, so that nobody was told that it is accepted", toUnacked,
		"if this is part of a backup, take the file, and its body beside it, from another one")
	if c.wasTried(id) {
		f = hands(path, Torn, "is not whole, and was tried before: "+c.reason(path, err), toBad, backup)
	}
	if entry == nil || entry.Footer.Inline {
		return f
	}
	place := path + queuedir.BodySuffix
	for _, from := range []string{"tmp/" + id.String() + queuedir.BodySuffix, "bad/" + id.String() + queuedir.BodySuffix,
		"bad/unacked/" + id.String() + queuedir.BodySuffix} {
		if !c.exists(place) && c.isBodyOf(from, entry.Footer) {
			f.Do = "its body is " + from + ": move that to " + place + " while the suite is stopped; --repair does"
			return f.with(remedy{from: from, to: place})
		}
	}
	return f
}

// isBodyOf reports whether a file is the body that a footer tells of.
func (c *check) isBodyOf(path string, footer queuedir.Footer) bool {
	f, err := queuedir.OpenFile(c.full(path))
	if err != nil {
		return false
	}
	defer f.Close() // only read from
	info, err := f.Stat()
	if err != nil || info.Size() != footer.BodySize {
		return false
	}
	crc, _, err := checksum(f)
	return err == nil && crc == footer.BodyCRC
}

// checksum reads a file through; empty says that there are zero bytes in it.
func checksum(r io.Reader) (crc uint32, empty bool, err error) {
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		crc = queuedir.Checksum(crc, buf[:n])
		for _, b := range buf[:n] {
			empty = empty || b == 0
		}
		if err == io.EOF {
			return crc, empty, nil
		}
		if err != nil {
			return 0, false, err
		}
	}
}

// damaged is an entry that does not fit its checksums. A power cut does that to
// the body of one that nobody was told of: bytes that never came to the disk are
// zero.
func (c *check) damaged(id queuedir.ID, path string, err error) Finding {
	f := hands(path, Damaged, c.reason(path, err), toBad, backup)
	if c.wasTried(id) {
		return f
	}
	body, openErr := queuedir.OpenFile(c.full(path) + queuedir.BodySuffix)
	if openErr != nil {
		return f
	}
	defer body.Close() // only read from
	if _, empty, readErr := checksum(body); readErr == nil && empty {
		f.Level = Own
		f.What += "; it has zero bytes as of a power cut, and no attempt is known: nobody was told that it is accepted"
		f.Do = "take it away from there, unless a backup has its body"
	}
	return f
}

// progress is that of a whole message.
func (c *check) progress(id queuedir.ID, recipients int) []Finding {
	path := c.info(id)
	f, err := queuedir.OpenFile(c.full(path))
	if errors.Is(err, fs.ErrNotExist) || isNoFile(err) { // told of by itself
		return nil
	}
	if err != nil {
		return []Finding{c.cannotRead(path, err)}
	}
	defer f.Close() // only read from
	p, err := queuedir.ReadProgress(f, recipients)
	switch {
	case errors.Is(err, queuedir.ErrDamaged):
		return []Finding{hands(path, DamagedInfo, c.reason(path, err), "qmail-send moves it to "+path+keptSuffix+", and its message into bad/",
			"if it is of another backup than the message, take that of the same time, or none: then recipients who have the message get it again").passes()}
	case errors.Is(err, queuedir.ErrHuge):
		return []Finding{hands(path, HugeInfo, c.reason(path, err), "the message waits", "move it away")}
	case errors.Is(err, queuedir.ErrNewer):
		return []Finding{hands(path, Newer, c.reason(path, err), "the message waits", "run the later release again")}
	case err != nil:
		return []Finding{c.cannotRead(path, err)}
	}
	var found []Finding
	if info, err := f.Stat(); err == nil && info.Size() > p.Size {
		found = append(found, own(path, TornInfo, "ends in what is no whole line, which was never relied on", "qmail-send writes over it", "nothing").passes())
	}
	if isDone(p, recipients) {
		found = append(found, own(c.entry(id), Done, "is a message of which nothing is to be done: it came back after its end, or was being removed",
			"qmail-send has it removed, and delivers nothing", "nothing").passes())
	}
	return found
}

// isDone reports whether all recipients are finished, and the sender knows.
func isDone(p queuedir.Progress, recipients int) bool {
	for i := range recipients {
		if !p.Finished.Has(i) {
			return false
		}
	}
	return p.Unbounced == 0 && !p.Held
}

// infoName is a name in a bucket of info/.
func (c *check) infoName(p place, st *unix.Stat_t) []Finding {
	path := p.path()
	base, hidden := strings.CutPrefix(p.name, hiddenPrefix)
	number, kept := strings.CutSuffix(base, keptSuffix)
	id, err := queuedir.ParseID(number)
	if err != nil || hidden && kept {
		if c.isClassic(p.name) {
			return nil
		}
		return []Finding{unknown(path)}
	}
	if right := c.below(c.Layout.InfoDir(id.Bucket())); right != p.dir {
		return []Finding{misplaced(path, right+"/"+p.name)}
	}
	switch {
	case hidden:
		return []Finding{own(path, Spare, "is progress that was being written anew", "qmail-send writes over it, or removes it", "nothing").passes()}
	case kept:
		return c.kept(id, path)
	case c.hasEntry(id) && !isRegular(st):
		return []Finding{hands(path, WrongType, "is "+typeOf(st), "the message waits", "move it away: recipients who have the message then get it again")}
	case c.hasEntry(id):
		return c.rightsFound(path, st, rightsOfInfo)
	case isDir(st):
		return []Finding{hands(path, WrongType, "is a directory", "it stays", "take it away")}
	}
	return []Finding{own(path, OrphanInfo, "is the progress of a message that is not there", "qmail-send removes it when it next looks through the queue",
		"if a backup has "+c.entry(id)+", put that back while the suite is stopped; --repair renames the progress to "+path+keptSuffix).
		with(remedy{to: path + keptSuffix}).passes()}
}

// kept is the progress of a message that was set aside.
func (c *check) kept(id queuedir.ID, path string) []Finding {
	if st, err := c.lstat("bad/" + id.String()); err != nil || st != nil {
		return nil // told of together
	}
	return []Finding{hands(path, KeptInfo, "is kept progress of a message that is not in bad/", "it stays",
		"take it away; or rename it back, if the message is put back into "+c.entry(id)).passes()}
}

// fileOrNil opens a file that may not be there.
func fileOrNil(name string) (*os.File, error) {
	f, err := queuedir.OpenFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return f, err
}
