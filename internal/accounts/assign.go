package accounts

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const (
	// maxAssign is the longest line of users/assign.
	maxAssign = 64 << 10
	// lastLine begins the line that says that the file is whole.
	lastLine = '.'
	wildcard = '+'
)

// ErrAssignCut says that a text of users/assign lacks its last line.
var ErrAssignCut = errors.New("the last line must begin with a dot: the file may be cut")

// Record is one line of users/assign as users/cdb has it.
type Record struct{ Key, Data []byte }

// CompileAssign calls add for the record of each line of users/assign, and at
// the end for the one that lists how wildcard prefixes end. An error names a line
// that could not be obeyed, or says that the text is not whole.
func CompileAssign(assign io.Reader, add func(Record) error) error {
	lines := bufio.NewScanner(assign)
	lines.Buffer(nil, maxAssign)
	var ends []byte
	for number := 1; lines.Scan(); number++ {
		line := lines.Text()
		if line != "" && line[0] == lastLine {
			return add(Record{nil, ends})
		}
		r, end, err := parseAssign(line)
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
	return ErrAssignCut
}

// CheckAssign calls wrong for each line, by its number, that CompileAssign would
// refuse, and for the end of a text that is not whole.
func CheckAssign(assign io.Reader, wrong func(line int, err error)) {
	lines := bufio.NewScanner(assign)
	lines.Buffer(nil, maxAssign)
	number := 0
	for lines.Scan() {
		number++
		line := lines.Text()
		if line != "" && line[0] == lastLine {
			return
		}
		if _, _, err := parseAssign(line); err != nil {
			wrong(number, err)
		}
	}
	err := lines.Err()
	if err == nil {
		err = ErrAssignCut
	}
	wrong(number, err)
}

// parseAssign reads =local:user:uid:gid:home:dash:ext: or +prefix:... and returns
// the record and the last byte of a prefix.
func parseAssign(line string) (r Record, end string, err error) {
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
	if err := checkAssigned(user); err != nil {
		return r, "", err
	}
	r.Data = []byte(strings.Join(user, "\x00"))
	if line[0] != wildcard {
		r.Key = []byte("!" + local + "\x00")
		return r, "", nil
	}
	r.Key = []byte("!" + local)
	return r, local[max(0, len(local)-1):], nil
}

// checkAssigned refuses what qmail-lspawn could not obey.
func checkAssigned(user []string) error {
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
