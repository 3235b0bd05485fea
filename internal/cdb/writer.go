package cdb

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// ErrTooLarge says that the database would not fit into 4 GiB.
var ErrTooLarge = errors.New("constant database would exceed 4 GiB")

type entry struct{ hash, pos uint32 }

// Writer collects records for Replace.
type Writer struct {
	out     *bufio.Writer
	pos     int64
	entries [tables][]entry
}

// Add appends a record. A key may be added more than once; the first wins.
func (w *Writer) Add(key, data []byte) error {
	end := w.pos + pairSize + int64(len(key)) + int64(len(data))
	if end > maxFile {
		return ErrTooLarge
	}
	h := hash(key)
	w.entries[h%tables] = append(w.entries[h%tables], entry{h, uint32(w.pos)})
	w.pair(uint32(len(key)), uint32(len(data)))
	w.out.Write(key)
	_, err := w.out.Write(data) // bufio keeps the first error of all three
	w.pos = end
	return err
}

// Replace writes a new database to tmp, which fill fills, makes it durable and
// renames it to path. Both names must be in one directory.
func Replace(path, tmp string, mode fs.FileMode, fill func(*Writer) error) error {
	// Where others may write the directory, tmp may be a link or a FIFO of theirs.
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, mode)
	if err != nil {
		return err
	}
	err = write(f, mode, fill)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return errors.Join(err, ignoreMissing(os.Remove(tmp)))
	}
	return syncDir(filepath.Dir(path))
}

func write(f *os.File, mode fs.FileMode, fill func(*Writer) error) error {
	if err := f.Chmod(mode); err != nil { // whatever the umask took away
		return err
	}
	if _, err := f.Seek(headerSize, 0); err != nil {
		return err
	}
	w := &Writer{out: bufio.NewWriterSize(f, 64<<10), pos: headerSize}
	if err := fill(w); err != nil {
		return err
	}
	header, err := w.finish()
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(header, 0); err != nil {
		return err
	}
	return f.Sync()
}

// finish writes the tables and returns the header that points to them.
func (w *Writer) finish() ([]byte, error) {
	header := make([]byte, 0, headerSize)
	for _, entries := range w.entries {
		slots := uint32(slotsEach * len(entries))
		if w.pos+int64(slots)*pairSize > maxFile {
			return nil, ErrTooLarge
		}
		header = binary.LittleEndian.AppendUint32(header, uint32(w.pos))
		header = binary.LittleEndian.AppendUint32(header, slots)
		for _, e := range place(entries, slots) {
			w.pair(e.hash, e.pos)
		}
		w.pos += int64(slots) * pairSize
	}
	return header, w.out.Flush()
}

// place distributes entries, in the order they were added, over a table with
// linear probing; position 0 is an empty slot.
func place(entries []entry, slots uint32) []entry {
	table := make([]entry, slots)
	for _, e := range entries {
		slot := e.hash / tables % slots
		for table[slot].pos != 0 {
			if slot++; slot == slots {
				slot = 0
			}
		}
		table[slot] = e
	}
	return table
}

func (w *Writer) pair(a, b uint32) {
	var buf [pairSize]byte
	binary.LittleEndian.PutUint32(buf[:4], a)
	binary.LittleEndian.PutUint32(buf[4:], b)
	w.out.Write(buf[:]) // a failure stays in w.out until Flush
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close() // was only read
	return d.Sync()
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
