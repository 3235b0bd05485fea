package qmailremote

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"postrider/internal/control"
	"postrider/internal/idn"
)

// login is who we are at a relay. The zero value is nobody.
type login struct {
	user     string
	password string
	// token is the name of a file in control that has an OAuth 2 access token;
	// somebody else renews it there.
	token string
}

// String keeps passwords out of whatever is printed.
func (l login) String() string { return "login of " + strconv.Quote(l.user) }

// GoString is String for %#v.
func (l login) GoString() string { return l.String() }

const maxCredential = 255

// cutLogin separates what a route or a line of control/remoteauth says of a
// login from the relay in front of it.
func cutLogin(value string) (relay string, l login, err error) {
	at := strings.IndexAny(value, "| \t")
	if at < 0 {
		return value, login{}, nil
	}
	relay = value[:at]
	if value[at] != '|' {
		words := strings.Fields(value[at:])
		if len(words) != 2 {
			return relay, login{}, errors.New("not a user and a password")
		}
		l = login{user: words[0], password: words[1]}
	} else {
		var more bool
		l.user, l.password, more = strings.Cut(value[at+1:], "|")
		if !more {
			return relay, login{}, errors.New("a user without a password")
		}
		if file, ok := strings.CutPrefix(l.password, "|"); ok {
			l.password, l.token = "", file
		}
	}
	return relay, l, l.check()
}

// check refuses what no mechanism could send. Nobody at all is fine.
func (l login) check() error {
	switch {
	case l == login{}:
		return nil
	case l.user == "" || l.password == "" && l.token == "":
		return errors.New("a user or a password is missing")
	case len(l.user) > maxCredential || len(l.password) > maxCredential:
		return errors.New("a user or a password is too long")
	case strings.ContainsAny(l.user+l.password, "\x00\r\n"):
		return errors.New("a user or a password has an octet that cannot be sent")
	case strings.ContainsAny(l.token, "/\x00") || strings.HasPrefix(l.token, "."):
		return errors.New("a token is in a file of the directory control")
	}
	return nil
}

// withLogin adds to a relay what control/remoteauth says of it: by name and
// port, then by name.
func (set *settings) withLogin(r relay) relay {
	if r.login != (login{}) || r.protocol == qmtp || len(set.tables.logins) == 0 {
		return r
	}
	for _, port := range []string{":" + strconv.Itoa(int(r.port)), ""} {
		if l, ok := set.tables.logins[r.host()+port]; ok {
			r.login = l
			break
		}
	}
	return r
}

// host is the name of a relay, or its address in brackets.
func (r relay) host() string {
	if r.addr.IsValid() {
		return "[" + r.addr.String() + "]"
	}
	return idn.Key(r.name)
}

// logins reads control/remoteauth: "relay|user|password", "relay:port|..." or
// "relay|user||file". Nobody but its owner may read it.
func logins(dir control.Dir) (map[string]login, error) {
	all := make(map[string]login)
	present, err := dir.Each("remoteauth", func(line string) error {
		// Neither the line nor its parts are told: they are secret.
		value, l, err := cutLogin(line)
		if err == nil && l == (login{}) {
			err = errors.New("no user and no password")
		}
		if err != nil {
			return err
		}
		r, err := parseHostPort(value, 1)
		if err != nil {
			return err
		}
		key := r.host()
		if _, bare := netip.ParseAddr(value); bare != nil && hasPort(value) {
			key += ":" + strconv.Itoa(int(r.port))
		}
		all[key] = l
		return nil
	})
	if err != nil || !present {
		return nil, err
	}
	return all, onlyOwner(string(dir) + "/remoteauth")
}

// hasPort reports whether a relay that parseHostPort takes names its port.
func hasPort(value string) bool {
	if strings.HasPrefix(value, "[") {
		return strings.Contains(value, "]:")
	}
	return strings.Contains(value, ":")
}

// onlyOwner refuses a file that others than its owner can read.
func onlyOwner(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s holds secrets, and others than its owner can read it", path)
	}
	return nil
}

// maxToken is more than any access token has.
const maxToken = 16 << 10

// readToken returns what a token's file holds.
func readToken(home, name string) (string, error) {
	path := filepath.Join(home, "control", name)
	if err := onlyOwner(path); err != nil {
		return "", withoutPath(err)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", withoutPath(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	if err != nil {
		return "", withoutPath(err)
	}
	line := strings.TrimRight(string(text), " \t\r\n")
	if line == "" || len(line) > maxToken || strings.ContainsFunc(line, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", errors.New("it holds no token")
	}
	return line, nil
}

func withoutPath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
