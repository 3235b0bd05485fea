package cdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// MaxData is the largest record that Get returns.
const MaxData = 1 << 20

const (
	// recordRead is how much of a record is read at first.
	recordRead = 256
	// runSlots is how many slots of a table are read at once: with half of them
	// empty, as every writer leaves them, a probe seldom goes further.
	runSlots = 16
)

// ErrFormat says that the file is not a sound constant database.
var ErrFormat = errors.New("not a sound constant database")

// Reader looks up keys in one database. A lookup is three reads for nearly every
// key, whatever the size of the database, and two behind KeepHeader. Several
// goroutines may use it.
type Reader struct {
	r      io.ReaderAt
	size   int64
	file   *os.File // nil if the Reader owns none
	header []byte   // nil: not kept
}

// Open opens the database at path. A missing file is fs.ErrNotExist.
func Open(path string) (*Reader, error) {
	// Without waiting for somebody who writes, should a FIFO be there.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: no plain file: %w", path, ErrFormat)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	c, err := NewReader(f, info.Size())
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	c.file = f
	return c, nil
}

// NewReader reads a database of the given size from r.
func NewReader(r io.ReaderAt, size int64) (*Reader, error) {
	if size < headerSize || size > maxFile {
		return nil, ErrFormat
	}
	return &Reader{r: r, size: size}, nil
}

// Close closes the file that Open opened.
func (c *Reader) Close() error {
	if c.file == nil {
		return nil
	}
	return c.file.Close()
}

// Records returns how many there are, by the tables.
func (c *Reader) Records() (n int64, err error) {
	for i := range int64(tables) {
		_, slots, err := c.table(i)
		if err != nil {
			return 0, err
		}
		n += slots / slotsEach
	}
	return n, nil
}

// KeepHeader reads the header (2 KiB), so that lookups need not. It is for a
// Reader of many lookups, before the first.
func (c *Reader) KeepHeader() error {
	header := make([]byte, headerSize)
	if err := c.readAt(header, 0); err != nil {
		return err
	}
	c.header = header
	return nil
}

// Get returns the data of the first record added with key.
func (c *Reader) Get(key []byte) (data []byte, found bool, err error) {
	h := hash(key)
	table, slots, err := c.table(int64(h % tables))
	if err != nil || slots == 0 {
		return nil, false, err
	}
	if table < headerSize || table+slots*pairSize > c.size {
		return nil, false, ErrFormat
	}
	run := make([]byte, runSlots*pairSize)
	slot := int64(h/tables) % slots
	for left := slots; left > 0; {
		n := min(left, slots-slot, runSlots)
		if err := c.readAt(run[:n*pairSize], table+slot*pairSize); err != nil {
			return nil, false, err
		}
		for i := range n {
			slotHash, record := pair(run[i*pairSize:])
			if record == 0 {
				return nil, false, nil
			}
			if slotHash != int64(h) {
				continue
			}
			if data, found, err = c.record(record, key); found || err != nil {
				return data, found, err
			}
		}
		left -= n
		slot = (slot + n) % slots
	}
	return nil, false, nil
}

// table returns where the slots of a table are, and how many.
func (c *Reader) table(number int64) (pos, slots int64, err error) {
	at := number * pairSize
	if c.header != nil {
		pos, slots = pair(c.header[at:])
		return pos, slots, nil
	}
	var buf [pairSize]byte
	if err := c.readAt(buf[:], at); err != nil {
		return 0, 0, err
	}
	pos, slots = pair(buf[:])
	return pos, slots, nil
}

// record returns the data of the record at pos if its key is key. Most records
// are read at once.
func (c *Reader) record(pos int64, key []byte) (data []byte, found bool, err error) {
	if pos < headerSize || pos+pairSize > c.size {
		return nil, false, ErrFormat
	}
	head := make([]byte, min(recordRead, c.size-pos))
	if err := c.readAt(head, pos); err != nil {
		return nil, false, err
	}
	keyLen, dataLen := pair(head)
	whole := pairSize + keyLen + dataLen
	if pos+whole > c.size {
		return nil, false, ErrFormat
	}
	if keyLen != int64(len(key)) {
		return nil, false, nil
	}
	if whole > int64(len(head)) {
		if dataLen > MaxData {
			whole = pairSize + keyLen // the key decides first
		}
		head = make([]byte, whole)
		if err := c.readAt(head, pos); err != nil {
			return nil, false, err
		}
	}
	if string(head[pairSize:pairSize+keyLen]) != string(key) {
		return nil, false, nil
	}
	if dataLen > MaxData {
		return nil, false, fmt.Errorf("record of %d bytes: %w", dataLen, ErrFormat)
	}
	return head[pairSize+keyLen : whole : whole], true, nil
}

// pair is the two numbers that b begins with.
func pair(b []byte) (first, second int64) {
	return int64(binary.LittleEndian.Uint32(b)), int64(binary.LittleEndian.Uint32(b[4:]))
}

// readAt fills buf; the end of the file is damage, since every position was
// promised by the file itself.
func (c *Reader) readAt(buf []byte, pos int64) error {
	n, err := c.r.ReadAt(buf, pos)
	if n == len(buf) {
		return nil
	}
	if err == io.EOF {
		return ErrFormat
	}
	return err
}
