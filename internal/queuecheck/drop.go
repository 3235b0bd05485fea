package queuecheck

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"postrider/internal/queuedir"
)

// dropName is a name in drop/, where anybody may leave anything.
func (c *check) dropName(p place, st *unix.Stat_t) []Finding {
	path := p.path()
	if isDir(st) {
		return []Finding{hands(path, NotADrop, "is a directory", "it stays", "take it away; --repair moves it into bad/").with(remedy{find: true})}
	}
	if !queuedir.IsDropName(p.name) {
		if c.Clock.Now().Sub(changed(st)) < staleAge {
			if c.counting {
				c.sum.Dropping++
			}
			return nil
		}
		return []Finding{own(path, Leftover, "is a message of a program that nobody has finished", "qmail-spool removes it", "nothing").passes()}
	}
	if !isRegular(st) || st.Nlink != 1 {
		return []Finding{own(path, NotADrop, "is no file with one name, which no program of the suite has made", "qmail-spool removes it", "nothing").passes()}
	}
	f, err := queuedir.OpenFile(c.full(path))
	if errors.Is(err, fs.ErrNotExist) || isNoFile(err) {
		return nil // gone, or the next look tells
	}
	if err != nil {
		return []Finding{c.cannotRead(path, err)}
	}
	defer f.Close() // only read from
	return c.drop(path, f, st)
}

// drop is a file in drop/ with the name of a whole one.
func (c *check) drop(path string, f *os.File, st *unix.Stat_t) []Finding {
	err := checkDrop(f, st.Size, st.Blocks*512)
	switch {
	case err == nil:
		return []Finding{own(path, Waiting, "is a message of a program, whole", "qmail-spool takes it in, within a minute or at its start", "start the suite").passes()}
	case errors.Is(err, queuedir.ErrNewer):
		return []Finding{hands(path, Newer, err.Error(), "it waits", "run the later release again")}
	case errors.Is(err, queuedir.ErrDropFooter):
		return []Finding{own(path, TornDrop, "is not whole: "+err.Error(), "qmail-spool moves it into bad/unacked, which is emptied after seven days", "nothing").passes()}
	case errors.Is(err, errEmptied):
		return []Finding{own(path, DamagedDrop, "has zero bytes as of a power cut: its program was not told that it is accepted",
			"qmail-spool moves it into bad/, where it stays", "take it away from there").passes()}
	case errors.Is(err, queuedir.ErrDamaged):
		return []Finding{hands(path, DamagedDrop, err.Error(), "qmail-spool moves it into bad/, where it stays", "look at it, and take it away").passes()}
	}
	return []Finding{c.cannotRead(path, err)}
}

// errEmptied is returned for a file some of whose bytes never came to the disk.
var errEmptied = errors.New("bytes are missing")

// checkDrop compares a file with its footer.
func checkDrop(f io.ReaderAt, size, stored int64) error {
	footer, raw, err := queuedir.ReadDropFooter(f, size, stored)
	if err != nil {
		return err
	}
	crc, _, err := checksum(io.NewSectionReader(f, 0, footer.BodySize+footer.EnvelopeSize))
	if err != nil || footer.Checks(crc, raw) {
		return err
	}
	_, empty, err := checksum(io.NewSectionReader(f, 0, footer.BodySize))
	var sender [1]byte
	if err == nil && !empty && footer.EnvelopeSize > 0 {
		_, err = f.ReadAt(sender[:], footer.BodySize)
		empty = sender[0] == 0
	}
	switch {
	case err != nil:
		return err
	case empty:
		return errEmptied
	}
	return fmt.Errorf("%w: checksum", queuedir.ErrDamaged)
}
