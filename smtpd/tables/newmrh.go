package tables

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"postrider/internal/cdb"
	"postrider/internal/idn"
	"postrider/internal/world"
)

// Exit codes.
const (
	exitDone  = 0
	exitWrong = 100 // the command line, or a line that cannot be obeyed
	exitLater = 111
)

const (
	umask  = 0o033
	dbMode = 0o644
)

// maxLine bounds a line of a list. A domain has at most 255 bytes, a rule has
// variables.
const maxLine = 64 << 10

// NewMRH is qmail-newmrh: it compiles control/morercpthosts.
func NewMRH(w world.World) int {
	unix.Umask(umask)
	if err := newMRH(filepath.Join(w.Home, "control", "morercpthosts")); err != nil {
		fmt.Fprintf(w.Stderr, "qmail-newmrh: fatal: %v\n", err)
		return exitLater
	}
	return exitDone
}

func newMRH(list string) error {
	in, err := os.Open(list)
	if err != nil {
		return fmt.Errorf("unable to read control/morercpthosts: %w", err)
	}
	defer in.Close() // was only read
	var bad error
	err = cdb.Replace(list+".cdb", list+".tmp", dbMode, func(w *cdb.Writer) error {
		var added error
		bad = eachLine(in, func(number int, line string) error {
			added = addDomain(w.Add, line)
			return added
		})
		if added != nil {
			bad = nil // of the database, not of the list
		}
		return errors.Join(bad, added)
	})
	if bad != nil {
		return fmt.Errorf("unable to read control/morercpthosts: %w", bad)
	}
	if err != nil {
		return fmt.Errorf("unable to write to control/morercpthosts.cdb: %w", err)
	}
	return nil
}

// addDomain adds a domain as qmail writes it, and, if it has letters outside of
// ASCII, in the spelling by which qmail-smtpd looks it up.
func addDomain(add func(key, data []byte) error, domain string) error {
	lowered := []byte(domain)
	for i, c := range lowered {
		if 'A' <= c && c <= 'Z' {
			lowered[i] = c - 'A' + 'a'
		}
	}
	if err := add(lowered, nil); err != nil {
		return err
	}
	if key := idn.Key(domain); key != string(lowered) {
		return add([]byte(key), nil)
	}
	return nil
}

// eachLine calls use with the lines of a list, without blanks at their ends,
// that are neither empty nor comments.
func eachLine(in io.Reader, use func(number int, line string) error) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	number := 0
	for lines.Scan() {
		number++
		line := strings.TrimRight(lines.Text(), " \t\n")
		if line == "" || line[0] == '#' {
			continue
		}
		if err := use(number, line); err != nil {
			return err
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("line %d is longer than %d bytes", number+1, maxLine)
	}
	return lines.Err()
}
