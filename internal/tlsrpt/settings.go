package tlsrpt

import (
	"errors"
	"fmt"

	"postrider/internal/address"
	"postrider/internal/control"
)

// File is the name of the control file.
const File = "tlsrpt"

// maxOrganisation is the most bytes of a name.
const maxOrganisation = 200

// Settings is what control/tlsrpt says: whom reports come from, and on its
// second line the name of the organisation.
type Settings struct {
	Contact      address.Address
	Organisation string
}

// Read reads the file. on is false without one, or if it is empty: then nothing
// is reported.
func Read(dir control.Dir) (s Settings, on bool, err error) {
	lines, _, err := dir.List("tlsrpt")
	if err != nil || len(lines) == 0 {
		return s, false, err
	}
	if s, err = parse(lines); err != nil {
		return s, false, fmt.Errorf("%s/%s: %w", dir, File, err)
	}
	return s, true, nil
}

func parse(lines []string) (s Settings, err error) {
	if s.Contact, err = address.New(lines[0]); err != nil {
		return s, err
	}
	if !isMailbox(s.Contact) {
		return s, fmt.Errorf("%.100q is no address with a domain, in ASCII", lines[0])
	}
	s.Organisation = s.Contact.Domain()
	switch {
	case len(lines) > 2:
		return s, errors.New("it has more than two lines")
	case len(lines) == 2 && (len(lines[1]) > maxOrganisation || !isText(lines[1])):
		return s, fmt.Errorf("%.100q is no name in ASCII of at most %d bytes", lines[1], maxOrganisation)
	case len(lines) == 2:
		s.Organisation = lines[1]
	}
	return s, nil
}

// isMailbox reports whether an address can stand in a header as it is.
func isMailbox(a address.Address) bool {
	return a.Local() != "" && a.HasDomain() && IsName(a.Domain()) && isText(a.String()) && a.Quoted() == a.String()
}

// isText reports whether s is printable ASCII.
func isText(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// IsName reports whether s is a name of a host or a domain, in lower case or not.
func IsName(s string) bool {
	if s == "" || len(s) > MaxName || s[0] == '.' || s[len(s)-1] == '.' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		case c == '.' && s[i-1] != '.':
		default:
			return false
		}
	}
	return true
}
