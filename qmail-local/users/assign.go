package users

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const (
	maxLine = 64 << 10
	// lastLine begins the line that says that the file is whole.
	lastLine = '.'
	wildcard = '+'
)

var errNoEnd = errors.New("the last line must begin with a dot: the file may be cut")

// record is one line as the database has it.
type record struct{ key, data []byte }

// compile calls add for the record of each line, and at the end for the one
// that lists how wildcard prefixes end.
func compile(assign io.Reader, add func(record) error) error {
	lines := bufio.NewScanner(assign)
	lines.Buffer(nil, maxLine)
	var ends []byte
	for number := 1; lines.Scan(); number++ {
		line := lines.Text()
		if line != "" && line[0] == lastLine {
			return add(record{nil, ends})
		}
		r, end, err := parse(line)
		if err == nil {
			err = add(r)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		if !strings.Contains(string(ends), end) {
			ends = append(ends, end...)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return errNoEnd
}

// parse reads =local:user:uid:gid:home:dash:ext: or +prefix:... and returns
// the record and the last byte of a prefix.
func parse(line string) (r record, end string, err error) {
	fields := strings.Split(line, ":")
	switch {
	case line == "":
		return r, "", errors.New("an empty line")
	case strings.Contains(line, "\x00"):
		return r, "", errors.New("a zero byte")
	case len(fields) < 8:
		return r, "", errors.New("fewer than seven colons")
	}
	local := lower(fields[0][min(1, len(fields[0])):])
	user := fields[1:7]
	if err := check(user); err != nil {
		return r, "", err
	}
	r.data = []byte(strings.Join(user, "\x00"))
	if line[0] != wildcard {
		r.key = []byte("!" + local + "\x00")
		return r, "", nil
	}
	r.key = []byte("!" + local)
	return r, local[max(0, len(local)-1):], nil
}

// check refuses what qmail-lspawn could not obey.
func check(user []string) error {
	if user[0] == "" {
		return errors.New("no user")
	}
	for i, what := range []string{"uid", "gid"} {
		id, err := strconv.ParseUint(user[1+i], 10, 32)
		if err != nil || id == 1<<32-1 || user[1+i][0] == '+' {
			return fmt.Errorf("%s %q is no number from 0 to %d", what, user[1+i], uint32(1<<32-2))
		}
	}
	if !strings.HasPrefix(user[3], "/") {
		return fmt.Errorf("home directory %q does not begin with a slash", user[3])
	}
	return nil
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
