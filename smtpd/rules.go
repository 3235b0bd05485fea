package smtpd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"postrider/internal/cdb"
	"postrider/internal/control"
	"postrider/internal/tcprules"
)

// maxRules is the largest tcp.smtp.cdb, which is kept in memory.
const maxRules = 16 << 20

// rules say who may connect: those of control/tcp.smtp, or, where there is no
// such text, of control/tcp.smtp.cdb, which sites with tcpserver have.
type rules struct {
	text *tcprules.Rules
	db   *cdb.Reader // nil: the text counts
}

// loadRules reads the rules of a home directory.
func loadRules(home string) (rules, error) {
	dir := control.Dir(home + "/control")
	text, present, err := dir.Text("tcp.smtp")
	if err != nil {
		return rules{}, err
	}
	if !present {
		if db, err := readRules(home + "/control/tcp.smtp.cdb"); db != nil || err != nil {
			return rules{db: db}, err
		}
	}
	parsed, err := tcprules.Parse(text)
	if err != nil {
		return rules{}, fmt.Errorf("%s/control/tcp.smtp, %w", home, err)
	}
	return rules{text: parsed}, nil
}

// readRules reads a database; there is none if it is nil.
func readRules(path string) (*cdb.Reader, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() // was only read
	data, err := io.ReadAll(io.LimitReader(f, maxRules+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxRules {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxRules)
	}
	db, err := cdb.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return db, nil
}

// match returns the rule for a client. An error says that the database is
// damaged: nobody knows who may connect.
func (r rules) match(c tcprules.Client) (tcprules.Decision, error) {
	if r.db != nil {
		return tcprules.MatchDatabase(r.db, c)
	}
	return r.text.Match(c), nil
}

// usesNames reports whether some rule of the text depends on names, which are
// not looked up.
func (r rules) usesNames() bool { return r.text != nil && r.text.UsesNames() }
