package authresults

import "strings"

// maxServer is the longest name of a server that is understood.
const maxServer = 255

// serverReader reads the name of the server, which a field begins with behind
// blanks and comments (RFC 8601 section 2.2), octet by octet.
type serverReader struct {
	depth   int // of comments
	escaped bool
	quoted  bool
	long    bool
	n       int
	text    [maxServer]byte
}

// read takes an octet and reports whether it shows the end of the name.
func (s *serverReader) read(octet byte) (ends bool) {
	switch {
	case s.escaped:
		s.escaped = false
		if s.quoted {
			s.add(octet)
		}
	case octet == '\\' && (s.depth > 0 || s.quoted):
		s.escaped = true
	case s.quoted && octet == '"':
		return true
	case s.quoted:
		if octet != '\n' {
			s.add(octet)
		}
	case octet == '(' && s.n == 0:
		s.depth++
	case s.depth > 0:
		if octet == ')' {
			s.depth--
		}
	case octet == '"' && s.n == 0:
		s.quoted = true
	case isBlank(octet) || octet == '\n':
		return s.n > 0
	case !isTokenOctet(octet):
		return true
	default:
		s.add(octet)
	}
	return false
}

func (s *serverReader) add(octet byte) {
	if s.n == len(s.text) {
		s.long = true
		return
	}
	s.text[s.n] = octet
	s.n++
}

// name returns the name, "" if there is none that is understood.
func (s *serverReader) name() string {
	if s.long {
		return ""
	}
	return string(s.text[:s.n])
}

// IsServer reports whether a name can be that of a server as it stands, without
// quotes.
func IsServer(name string) bool {
	for i := range len(name) {
		if !isTokenOctet(name[i]) || name[i] >= 0x80 {
			return false
		}
	}
	return name != "" && len(name) <= maxServer
}

// isTokenOctet is wider than RFC 2045: names may be in UTF-8.
func isTokenOctet(octet byte) bool {
	return octet > ' ' && octet != 0x7f && strings.IndexByte(`()<>@,;:\"/[]?=`, octet) < 0
}

func isBlank(octet byte) bool { return octet == ' ' || octet == '\t' }

func lower(octet byte) byte {
	if 'A' <= octet && octet <= 'Z' {
		return octet + 'a' - 'A'
	}
	return octet
}
