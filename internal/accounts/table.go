package accounts

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// MaxTable is the largest passwd or group file that is read.
const MaxTable = 64 << 20

// ErrUnknown says that the table was read and has no such name.
var ErrUnknown = errors.New("no such name")

// table is a file of colon-separated lines, found by their first field. It may
// be used by several goroutines. While one of them reads a new file, the others
// go on with the lines of the old one, but for names that are not in that: they
// may be in the new one.
type table struct {
	path string

	reading sync.Mutex // held by who reads the file
	current atomic.Pointer[lines]
}

// stamp is what tells one state of a file from another.
type stamp struct {
	dev, ino uint64
	size     int64
	mtime    time.Time
}

// line returns the first line whose first field is name, without its LF, and
// what there is behind the file's last LF. It does so with ErrUnknown, too.
func (t *table) line(name string) (line, rest string, err error) {
	now, err := t.look()
	if err != nil {
		return "", "", err
	}
	l := t.current.Load()
	if l != nil && l.stamp == now {
		return l.line(name)
	}
	if !t.reading.TryLock() {
		if l != nil {
			if line, rest, err = l.line(name); err == nil {
				return line, rest, nil
			}
		}
		t.reading.Lock()
	}
	defer t.reading.Unlock()
	if l, err = t.refresh(); err != nil {
		return "", "", err
	}
	return l.line(name)
}

func (t *table) look() (stamp, error) {
	var st unix.Stat_t
	if err := unix.Stat(t.path, &st); err != nil {
		return stamp{}, &os.PathError{Op: "stat", Path: t.path, Err: err}
	}
	return stamp{uint64(st.Dev), st.Ino, st.Size, time.Unix(st.Mtim.Unix())}, nil
}

// refresh reads the file unless it is the one that was read last. The caller
// holds reading.
func (t *table) refresh() (*lines, error) {
	now, err := t.look()
	if err != nil {
		return nil, err
	}
	if l := t.current.Load(); l != nil && l.stamp == now {
		return l, nil
	}
	data, err := readBounded(t.path, now.size)
	if err != nil {
		return nil, err
	}
	l := newLines(data, now)
	t.current.Store(l)
	return l, nil
}

// readBounded reads a file of about the given size.
func readBounded(path string, size int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b bytes.Buffer
	b.Grow(int(min(max(size, 0), MaxTable)) + bytes.MinRead)
	if _, err := b.ReadFrom(io.LimitReader(f, MaxTable+1)); err != nil {
		return nil, err
	}
	if b.Len() > MaxTable {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, MaxTable)
	}
	return b.Bytes(), nil
}

// lines is what a file held at one time. It holds the file's bytes once, and
// some twelve bytes a line.
type lines struct {
	stamp stamp
	data  []byte
	rest  string // behind the last LF
	seed  maphash.Seed
	// slots holds one more than where a line begins, at the hash of its name or
	// behind that; 0 is free. Half of them are free.
	slots []uint32
}

func newLines(data []byte, at stamp) *lines {
	size := 8
	for size < 2*(bytes.Count(data, []byte{'\n'})+1) {
		size *= 2
	}
	l := &lines{
		stamp: at, data: data, rest: string(data[bytes.LastIndexByte(data, '\n')+1:]),
		seed: maphash.MakeSeed(), slots: make([]uint32, size),
	}
	for off := 0; off < len(data); {
		end := bytes.IndexByte(data[off:], '\n')
		if end < 0 {
			end = len(data) - off
		}
		// Without a colon it is no entry; "+" and "-" begin NIS lines.
		line := data[off : off+end]
		if colon := bytes.IndexByte(line, ':'); colon > 0 && line[0] != '+' && line[0] != '-' {
			if slot := l.slot(line[:colon]); *slot == 0 { // the first of a name counts
				*slot = uint32(off) + 1
			}
		}
		off += end + 1
	}
	return l
}

// slot returns where the line of a name is, or would be.
func (l *lines) slot(name []byte) *uint32 {
	for i := maphash.Bytes(l.seed, name); ; i++ {
		slot := &l.slots[i&uint64(len(l.slots)-1)]
		if *slot == 0 {
			return slot
		}
		if line := l.data[*slot-1:]; bytes.HasPrefix(line, name) && line[len(name)] == ':' {
			return slot
		}
	}
}

func (l *lines) line(name string) (line, rest string, err error) {
	at := *l.slot([]byte(name))
	if at == 0 {
		return "", l.rest, ErrUnknown
	}
	found := l.data[at-1:]
	if end := bytes.IndexByte(found, '\n'); end >= 0 {
		found = found[:end]
	}
	return string(found), l.rest, nil
}
