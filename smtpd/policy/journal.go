package policy

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
)

// The file is records of 32 bytes, numbers big-endian, each with a checksum of
// what is before it in its last four bytes. The first one begins with the
// magic, then the salt; each other one is a key, its record, and replaces an
// earlier one of its key.
const (
	recordSize = 32
	saltSize   = 16
	magic      = "PRgrey01"
	// maxPending bounds what waits to be written; with more, or when half of
	// the file is outdated, all of it is written anew.
	maxPending = 1 << 20
	// spare is how many outdated records any file may have.
	spare = 4096
)

var errNoStore = errors.New("is no greylist, or its beginning is damaged")

// sealed appends the checksum to what is behind the first n bytes of b.
func sealed(b []byte, n int) []byte {
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[n:]))
}

func isSealed(b []byte) bool {
	const at = recordSize - 4
	return crc32.ChecksumIEEE(b[:at]) == binary.BigEndian.Uint32(b[at:])
}

func appendHeader(b []byte, salt [saltSize]byte) []byte {
	n := len(b)
	b = append(append(b, magic...), salt[:]...)
	return sealed(append(b, 0, 0, 0, 0), n)
}

func appendRecord(b []byte, k key, r record) []byte {
	n := len(b)
	b = append(b, k[:]...)
	for _, v := range []uint32{r.first, r.last, r.passes} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return sealed(b, n)
}

func parseRecord(b []byte) (k key, r record) {
	copy(k[:], b)
	u := binary.BigEndian.Uint32
	return k, record{u(b[16:]), u(b[20:]), u(b[24:])}
}

// journal is the file of a greylist. One goroutine uses it.
type journal struct {
	path string
	file *os.File // nil: the next write makes it anew
	size int64
}

// open reads the file into g and is ready to append to it. damaged tells how
// many records are left out. With an error g is empty, and the next write
// begins a new file.
func (j *journal) open(g *greylist) (damaged int, err error) {
	if _, err := rand.Read(g.salt[:]); err != nil {
		return 0, err
	}
	f, err := os.OpenFile(j.path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	damaged, size, err := load(f, g)
	if err == nil && damaged == 0 {
		j.file, j.size = f, size
		return 0, nil
	}
	_ = f.Close() // nothing was written
	return damaged, err
}

// load reads records, at most as many as a file can have.
func load(f io.Reader, g *greylist) (damaged int, size int64, err error) {
	in := bufio.NewReaderSize(f, 1<<16)
	var b [recordSize]byte
	if _, err := io.ReadFull(in, b[:]); err != nil || !isSealed(b[:]) || !bytes.HasPrefix(b[:], []byte(magic)) {
		return 0, 0, errNoStore
	}
	salt := [saltSize]byte(b[len(magic):])
	now := uint32(g.clock.Now().Unix())
	table := make(map[key]record)
	for size = recordSize; size < maxFile(g.most); size += recordSize {
		switch _, err := io.ReadFull(in, b[:]); {
		case err == io.EOF:
			g.salt, g.table = salt, table
			return damaged, size, nil
		case err == io.ErrUnexpectedEOF || err == nil && !isSealed(b[:]):
			damaged++
			continue
		case err != nil:
			return 0, 0, err
		}
		k, r := parseRecord(b[:])
		if _, known := table[k]; r.expired(now) || !known && len(table) >= g.most {
			delete(table, k)
			continue
		}
		table[k] = r
	}
	return 0, 0, fmt.Errorf("has more than %d bytes", maxFile(g.most))
}

// maxFile is how large a file can be before it is written anew, with what is
// pending then.
func maxFile(most int) int64 { return int64(2*most+2*spare)*recordSize + 2*maxPending }

// write brings the file up to date. After an error the next write begins a new
// file, so that a record that was written in part has no successors.
func (j *journal) write(g *greylist) error {
	g.mu.Lock()
	pending, live := g.pending, len(g.table)
	g.pending = nil
	anew := j.file == nil && live > 0 || len(pending) >= maxPending ||
		j.file != nil && j.size+int64(len(pending)) > int64(2*live+spare)*recordSize
	if anew {
		pending = appendHeader(make([]byte, 0, (live+1)*recordSize), g.salt)
		for k, r := range g.table {
			pending = appendRecord(pending, k, r)
		}
	}
	g.mu.Unlock()
	if len(pending) == 0 {
		return nil
	}
	err := j.put(pending, anew)
	if err != nil {
		j.close()
	}
	return err
}

func (j *journal) put(b []byte, anew bool) error {
	if !anew {
		_, err := j.file.WriteAt(b, j.size)
		j.size += int64(len(b))
		return err
	}
	next := j.path + ".new"
	f, err := os.OpenFile(next, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(b); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), os.Rename(next, j.path)); err != nil {
		return errors.Join(err, f.Close())
	}
	j.close()
	j.file, j.size = f, int64(len(b))
	return nil
}

func (j *journal) close() {
	if j.file != nil {
		_ = j.file.Close() // what it lost is in memory
		j.file = nil
	}
}
