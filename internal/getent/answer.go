package getent

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"postrider/internal/accounts"
)

// Exit codes of getent(1).
const (
	exitFound   = 0
	exitMissing = 2
)

var (
	errNoProbe = errors.New("the machine's accounts come from a server, and getent does not tell whether that is away: name an account that only it has in control/nssprobe")
	errProbe   = errors.New("the account in control/nssprobe is not found: the server of the machine's accounts is away")
)

// IsName tells whether s can be the name of an account. All digits are a uid to
// getent, and a dash begins an option.
func IsName(s string) bool {
	if s == "" || len(s) > maxName || s[0] == '-' {
		return false
	}
	digits := true
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || c == ':' || c == '/' {
			return false
		}
		digits = digits && '0' <= c && c <= '9'
	}
	return !digits
}

// judge makes an answer of what a run for a name and a probe has written.
// Without a probe only an exit code says that there is no such name.
func judge(name, probe string, needsProbe bool, output string, exit int) (accounts.Account, error) {
	if exit != exitFound && exit != exitMissing {
		return accounts.Account{}, fmt.Errorf("getent: exit code %d", exit)
	}
	var account accounts.Account
	found, probeFound := false, false
	for line := range strings.Lines(output) {
		line, whole := strings.CutSuffix(line, "\n")
		a, ok := accounts.ParsePasswd(line)
		switch {
		case !whole || !ok:
			return accounts.Account{}, errors.New("getent: a line that is no account")
		case a.Name == name && !found:
			account, found = a, true
		}
		probeFound = probeFound || a.Name == probe
	}
	switch {
	case found:
		return account, nil
	case exit == exitFound && probe == "":
		return accounts.Account{}, fmt.Errorf("getent: found an account for %q that has another name", name)
	case probe != "" && !probeFound:
		return accounts.Account{}, errProbe
	case probe == "" && needsProbe:
		return accounts.Account{}, errNoProbe
	}
	return accounts.Account{}, accounts.ErrUnknown
}

// judgeAll makes answers of what a run for several names has written: of those
// that it has found, and one for all others, which is nil if the run does not tell
// about these.
func judgeAll(names []string, probe string, needsProbe bool, output string, exit int) (found map[string]accounts.Account, others error) {
	if exit != exitFound && exit != exitMissing {
		return nil, nil
	}
	found = make(map[string]accounts.Account)
	probeFound, strange := false, false
	for line := range strings.Lines(output) {
		line, whole := strings.CutSuffix(line, "\n")
		a, ok := accounts.ParsePasswd(line)
		if !whole || !ok {
			return nil, nil
		}
		_, again := found[a.Name]
		switch {
		case slices.Contains(names, a.Name) && !again:
			found[a.Name] = a
		case a.Name != probe || again:
			strange = true // one of the names has this one, too
		}
		probeFound = probeFound || a.Name == probe
	}
	switch {
	case strange, exit == exitFound:
		return found, nil
	case probe != "" && !probeFound:
		return found, errProbe
	case probe == "" && needsProbe:
		return found, errNoProbe
	}
	return found, accounts.ErrUnknown
}
