package tcprules

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"syscall"

	"postrider/internal/cdb"
	"postrider/internal/control"
)

// maxDatabase is the largest tcp.smtp.cdb, which is kept in memory.
const maxDatabase = 16 << 20

// Set says who may connect: the rules of control/tcp.smtp, or, where there is
// no such text, of control/tcp.smtp.cdb, which sites with tcpserver have. The
// zero value has no rules: everybody is allowed.
type Set struct {
	text *Rules
	db   *cdb.Reader // nil: the text counts
}

// Load reads the rules of a control directory.
func Load(dir control.Dir) (Set, error) {
	text, present, err := dir.Text("tcp.smtp")
	if err != nil {
		return Set{}, err
	}
	if !present {
		if db, err := readDatabase(string(dir) + "/tcp.smtp.cdb"); db != nil || err != nil {
			return Set{db: db}, err
		}
	}
	parsed, err := Parse(text)
	var wrong Wrong
	if errors.As(err, &wrong) {
		faults := make(control.Faults, len(wrong))
		for i, line := range wrong {
			faults[i] = control.Fault{Path: string(dir) + "/tcp.smtp", Line: line.Number, Problem: line.Problem}
		}
		err = faults
	}
	if err != nil {
		return Set{}, err
	}
	return Set{text: parsed}, nil
}

// readDatabase reads a database; there is none if it is nil.
func readDatabase(path string) (*cdb.Reader, error) {
	// Without waiting for somebody who writes, should a FIFO be there: it is empty.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() // was only read
	data, err := io.ReadAll(io.LimitReader(f, maxDatabase+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxDatabase {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxDatabase)
	}
	db, err := cdb.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return db, nil
}

// Match returns the rule for a client. An error says that the database is
// damaged: nobody knows who may connect.
func (s Set) Match(c Client) (Decision, error) {
	_, d, _, err := s.Find(c)
	return d, err
}

// Find is Match, and says which rule it was, as Rules.Find does.
func (s Set) Find(c Client) (name string, d Decision, found bool, err error) {
	if s.db != nil {
		return FindDatabase(s.db, c)
	}
	if s.text == nil {
		return "", Decision{}, false, nil
	}
	name, d, found = s.text.Find(c)
	return name, d, found, nil
}

// File is the control file that the rules are from.
func (s Set) File() string {
	if s.db != nil {
		return "tcp.smtp.cdb"
	}
	return "tcp.smtp"
}

// IsFor tells whether a line of the text has the rule that Find calls name.
func IsFor(line, name string) bool {
	r, err := parseLine(line)
	if err != nil {
		return false
	}
	if r.network.IsValid() {
		return r.network.String() == name
	}
	return slices.Contains(r.keys, name)
}

// UsesNames reports whether some rule of the text depends on names, which are
// not looked up.
func (s Set) UsesNames() bool { return s.text != nil && s.text.UsesNames() }
