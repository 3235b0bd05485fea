package accounts

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// PasswdFile and GroupFile are the system's tables.
const (
	PasswdFile = "/etc/passwd"
	GroupFile  = "/etc/group"
)

// Account is one line of passwd.
type Account struct {
	Name        string
	UID, GID    uint32
	Home, Shell string
}

// Passwd looks up accounts in one file, which it keeps in memory. It may be
// used by several goroutines.
type Passwd struct {
	table table
	// Ask, if not nil, is asked for whom the file does not have. It may wait.
	// Its errors are as those of Lookup.
	Ask func(name string) (Account, error)
}

// NewPasswd returns a Passwd of the file at path, which is read when needed.
func NewPasswd(path string) *Passwd { return &Passwd{table: table{path: path}} }

// Lookup returns the account called name, or ErrUnknown, or why the file
// cannot tell.
func (p *Passwd) Lookup(name string) (Account, error) {
	if name == "" || strings.ContainsAny(name, ":\n\x00") {
		return Account{}, ErrUnknown
	}
	line, lastLine, err := p.table.line(name)
	if err != nil && !errors.Is(err, ErrUnknown) {
		return Account{}, err
	}
	if a, ok := ParsePasswd(line); err == nil && ok {
		return a, nil
	}
	// A line that is no account is passed over, as getpwnam does.
	if isCut(lastLine) {
		return Account{}, fmt.Errorf("%s ends inside a line: it is being written", p.table.path)
	}
	if p.Ask != nil {
		return p.Ask(name)
	}
	return Account{}, ErrUnknown
}

// isCut tells whether what follows the last LF of passwd is the beginning of
// an account: there may be more to come, and not only that one.
func isCut(lastLine string) bool {
	if lastLine == "" || lastLine[0] == '+' || lastLine[0] == '-' { // NIS
		return false
	}
	_, whole := ParsePasswd(lastLine)
	return !whole
}

// Lookup returns the account called name in /etc/passwd. A program that asks
// more than a few times keeps a Passwd.
func Lookup(name string) (Account, error) { return NewPasswd(PasswdFile).Lookup(name) }

// ParsePasswd splits name:password:uid:gid:comment:home:shell.
func ParsePasswd(line string) (Account, bool) {
	fields := strings.Split(line, ":")
	if len(fields) != 7 || fields[0] == "" {
		return Account{}, false
	}
	uid, uidOK := parseID(fields[2])
	gid, gidOK := parseID(fields[3])
	return Account{Name: fields[0], UID: uid, GID: gid, Home: fields[5], Shell: fields[6]}, uidOK && gidOK
}

// parseID reads a user or group id. 2^32-1 is none: to the kernel it means
// "do not change".
func parseID(s string) (uint32, bool) {
	if s == "" || s[0] < '0' || s[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil && n != 1<<32-1
}
