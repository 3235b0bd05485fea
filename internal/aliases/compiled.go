package aliases

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"postrider/internal/cdb"
)

// compiledTable is a cdb of fastforward, as its newaliases writes it: under
// ":name@" the instructions, each ended by NUL; under "?name@" the sender of what
// is forwarded to a list.
//
//	&address     forward
//	!program     run with the lines of preline in front of the message
//	|program     run with the message alone
//	/path        instructions in a file; relative names begin with a dot
type compiledTable struct {
	path string

	mu   sync.Mutex
	is   unix.Stat_t
	file *os.File
	db   *cdb.Reader // nil: not open
}

// find returns the targets of a name, and who its list's owner is.
func (c *compiledTable) find(name string) (targets []Target, owner string, found bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.refresh(); err != nil {
		return nil, "", false, err
	}
	key := lower(name) + "@"
	data, found, err := c.db.Get([]byte(":" + key))
	if err != nil || !found {
		return nil, "", false, err
	}
	sender, _, err := c.db.Get([]byte("?" + key))
	if err != nil {
		return nil, "", false, err
	}
	if strings.ContainsAny(string(sender), "\n\x00") {
		return nil, "", false, fmt.Errorf("%s: owner of %s is no address", c.path, name)
	}
	if targets, err = instructions(data); err != nil {
		return nil, "", false, fmt.Errorf("%s: %s: %w", c.path, name, err)
	}
	return targets, string(sender), true, nil
}

// has tells whether a name is there.
func (c *compiledTable) has(name string) (bool, error) {
	_, _, found, err := c.find(name)
	return found, err
}

func (c *compiledTable) refresh() error {
	var st unix.Stat_t
	if err := unix.Stat(c.path, &st); err != nil {
		c.drop()
		return &fs.PathError{Op: "stat", Path: c.path, Err: err}
	}
	if c.db != nil && sameFile(&c.is, &st) {
		return nil
	}
	c.drop()
	f, err := os.Open(c.path)
	if err != nil {
		return err
	}
	c.file = f
	if err = unix.Fstat(int(f.Fd()), &c.is); err == nil && c.is.Mode&writableMode != 0 {
		err = errors.New("can be written by everybody")
	}
	if err == nil {
		c.db, err = cdb.NewReader(f, c.is.Size)
	}
	if err != nil {
		c.drop()
		return fmt.Errorf("%s: %w", c.path, err)
	}
	return nil
}

func (c *compiledTable) drop() {
	if c.file != nil {
		_ = c.file.Close() // only read from
	}
	c.file, c.db = nil, nil
}

// instructions reads those of fastforward.
func instructions(data []byte) ([]Target, error) {
	var targets []Target
	for len(data) > 0 {
		text, rest, whole := bytes.Cut(data, []byte{0})
		if !whole {
			return nil, errors.New("an instruction without an end")
		}
		data = rest
		if len(text) == 0 {
			continue
		}
		if len(text) > maxTarget {
			return nil, errTooLong
		}
		if bytes.IndexByte(text, '\n') >= 0 {
			return nil, errControl
		}
		t := Target{Text: string(text[1:])}
		switch text[0] {
		case '&':
			if t.Kind = Address; strings.IndexByte(t.Text, '@') < 0 {
				t.Kind = Name
			}
		case '!':
			t.Kind = Program
		case '|':
			t.Kind = Bare
		case '/':
			t = Target{Compiled, string(text)}
		default: // relative names depend on where fastforward is run
			return nil, fmt.Errorf("instruction %q", shorten(string(text)))
		}
		if t.Text == "" {
			return nil, errEmpty
		}
		targets = append(targets, t)
	}
	return targets, nil
}
