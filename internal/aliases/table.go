package aliases

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/control"
)

const (
	// maxTable is the largest table of text, maxList the largest :include: list.
	maxTable = 64 << 20
	maxList  = 4 << 20
	// writableMode is what neither may have: everybody could send mail to
	// programs.
	writableMode = 0o002
)

// Entry is one alias as a table has it.
type Entry struct {
	Name string // as it is compared: small letters
	List string // what is behind the colon
	Line int
}

// Read calls each for the entries of a text. An error names a line that means
// nothing, or says that the text is not whole.
func Read(text string, each func(Entry) error) error {
	number := 0
	var e Entry
	var list strings.Builder // of an entry with more than one line
	flush := func() error {
		if e.Name == "" {
			return nil
		}
		if list.Len() > 0 {
			e.List += list.String()
			list.Reset()
		}
		done := e
		e = Entry{}
		return each(done)
	}
	for line := range strings.Lines(text) {
		number++
		line, whole := strings.CutSuffix(line, "\n")
		if !whole {
			return errors.New("the last line has no end: it may be being written")
		}
		trimmed := strings.Trim(line, " \t\r")
		switch {
		case trimmed == "", trimmed[0] == '#':
			continue
		case line[0] == ' ', line[0] == '\t':
			if e.Name == "" {
				return fmt.Errorf("line %d continues nothing", number)
			}
			list.WriteByte(' ')
			list.WriteString(trimmed)
			continue
		}
		if err := flush(); err != nil {
			return err
		}
		var err error
		if e, err = entry(trimmed); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		e.Line = number
	}
	return flush()
}

// entry reads the first line of one.
func entry(line string) (Entry, error) {
	name, list, found := strings.Cut(line, ":")
	if line[0] == '"' {
		end := strings.IndexByte(line[1:], '"')
		if end < 0 {
			return Entry{}, errQuote
		}
		name = line[1 : 1+end]
		list, found = strings.CutPrefix(strings.TrimLeft(line[2+end:], " \t"), ":")
	}
	name = strings.Trim(name, " \t")
	switch {
	case !found:
		return Entry{}, errors.New("no colon")
	case name == "":
		return Entry{}, errors.New("no name")
	case strings.IndexByte(name, '@') >= 0:
		return Entry{}, errors.New("a name with a domain: control/virtualdomains is for those")
	}
	return Entry{Name: lower(name), List: list}, nil
}

// textTable is a file of aliases, kept as its bytes and where each list is, or
// by the database that was made of it.
type textTable struct {
	path string

	mu    sync.Mutex
	is    unix.Stat_t       // of what lists or db were made
	lists map[string]string // nil: not read, or there is a database
	db    *built
	dbIs  unix.Stat_t // of what lies under its name; zero: nothing
}

// find returns what a name is an alias of.
func (t *textTable) find(name string) (list string, found bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(); err != nil {
		return "", false, err
	}
	if t.db != nil {
		if list, found, err = t.db.find(lower(name)); err != nil {
			err = fmt.Errorf("%s: %w", BuiltName(t.path), err)
		}
		return list, found, err
	}
	list, found = t.lists[lower(name)]
	return list, found, nil
}

// refresh reads the file if it is another one than last time.
func (t *textTable) refresh() error {
	var st unix.Stat_t
	if err := unix.Stat(t.path, &st); err != nil {
		return &os.PathError{Op: "stat", Path: t.path, Err: err}
	}
	var db unix.Stat_t
	_ = unix.Stat(BuiltName(t.path), &db) // as good as not there
	known := t.lists != nil || t.db != nil
	if known && sameFile(&t.is, &st) && sameFile(&t.dbIs, &db) {
		return nil
	}
	if st.Size == 0 && (len(t.lists) > 0 || t.db != nil) && time.Since(time.Unix(st.Mtim.Unix())) < control.Settle {
		return nil // it was emptied a moment ago, to be written in place
	}
	t.db.close()
	t.lists, t.db, t.is, t.dbIs = nil, nil, st, db
	if isPlain(&st) {
		if t.db = openBuilt(BuiltName(t.path), &st); t.db != nil {
			return nil
		}
	}
	text, is, err := readFile(t.path, maxTable)
	if err != nil {
		return err
	}
	lists := make(map[string]string)
	err = Read(text, func(e Entry) error {
		if _, twice := lists[e.Name]; !twice {
			lists[e.Name] = e.List
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", t.path, err)
	}
	t.lists, t.is = lists, is
	return nil
}

// isPlain tells whether a file is a regular one that not everybody can write.
func isPlain(st *unix.Stat_t) bool {
	return st.Mode&unix.S_IFMT == unix.S_IFREG && st.Mode&writableMode == 0
}

// sameFile tells whether a file is the same and was not written to.
func sameFile(a, b *unix.Stat_t) bool {
	return a.Dev == b.Dev && a.Ino == b.Ino && a.Size == b.Size && a.Mtim == b.Mtim && a.Ctim == b.Ctim
}

// readFile reads a file that not everybody can write. It may be a FIFO, or a
// device: that is opened without waiting, and not read.
func readFile(path string, most int64) (string, unix.Stat_t, error) {
	var st unix.Stat_t
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", st, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	if err := unix.Fstat(fd, &st); err != nil {
		return "", st, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return "", st, fmt.Errorf("%s is no plain file", path)
	case st.Mode&writableMode != 0:
		return "", st, fmt.Errorf("%s can be written by everybody", path)
	}
	var b strings.Builder
	if _, err := io.Copy(&b, io.LimitReader(descriptor(fd), most+1)); err != nil {
		return "", st, &os.PathError{Op: "read", Path: path, Err: err}
	}
	if int64(b.Len()) > most {
		return "", st, fmt.Errorf("%s is larger than %d bytes", path, most)
	}
	return b.String(), st, nil
}

// descriptor reads without an os.File and the poller behind it.
type descriptor int

func (fd descriptor) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(int(fd), p)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, err
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// lower folds ASCII letters only: local parts are bytes.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
