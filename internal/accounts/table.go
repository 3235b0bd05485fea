package accounts

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// MaxTable is the largest passwd or group file that is read.
const MaxTable = 64 << 20

// ErrUnknown says that the table was read and has no such name.
var ErrUnknown = errors.New("no such name")

// table is a file of colon-separated lines, found by their first field. It
// holds the file's bytes once and four bytes a line.
type table struct {
	path string

	mu    sync.Mutex
	stamp stamp
	data  []byte
	lines []uint32 // offsets of lines, ordered by name, then by offset
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
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(); err != nil {
		return "", "", err
	}
	line, err = t.find(name)
	return line, string(t.data[bytes.LastIndexByte(t.data, '\n')+1:]), err
}

// find searches what refresh has read.
func (t *table) find(name string) (string, error) {
	i, found := slices.BinarySearchFunc(t.lines, name, func(off uint32, name string) int {
		return bytes.Compare(t.name(off), []byte(name))
	})
	if !found {
		return "", ErrUnknown
	}
	rest := t.data[t.lines[i]:]
	if end := bytes.IndexByte(rest, '\n'); end >= 0 {
		rest = rest[:end]
	}
	return string(rest), nil
}

// name returns the first field of the line at off.
func (t *table) name(off uint32) []byte {
	rest := t.data[off:]
	return rest[:bytes.IndexByte(rest, ':')]
}

// refresh reads the file if it is another one than last time.
func (t *table) refresh() error {
	var st unix.Stat_t
	if err := unix.Stat(t.path, &st); err != nil {
		return &os.PathError{Op: "stat", Path: t.path, Err: err}
	}
	now := stamp{uint64(st.Dev), st.Ino, st.Size, time.Unix(st.Mtim.Unix())}
	if t.data != nil && now == t.stamp {
		return nil
	}
	data, err := readBounded(t.path)
	if err != nil {
		return err
	}
	t.data, t.lines = data, nil
	t.index()
	t.stamp = now
	return nil
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxTable+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxTable {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, MaxTable)
	}
	return data, nil
}

func (t *table) index() {
	for off := 0; off < len(t.data); {
		end := bytes.IndexByte(t.data[off:], '\n')
		if end < 0 {
			end = len(t.data) - off
		}
		// Without a colon it is no entry; "+" and "-" begin NIS lines.
		line := t.data[off : off+end]
		if colon := bytes.IndexByte(line, ':'); colon > 0 && line[0] != '+' && line[0] != '-' {
			t.lines = append(t.lines, uint32(off))
		}
		off += end + 1
	}
	slices.SortFunc(t.lines, func(a, b uint32) int {
		if c := bytes.Compare(t.name(a), t.name(b)); c != 0 {
			return c
		}
		return int(a) - int(b)
	})
}
