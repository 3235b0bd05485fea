package binarymime

import (
	"bytes"
	"strings"
)

// encoding is what Content-Transfer-Encoding says (RFC 2045 section 6.1).
type encoding byte

const (
	asIs    encoding = iota // lines as they are, or in a way that is not known
	encoded                 // base64, quoted-printable
	binary
)

// media is what is inside a body (RFC 2046).
type media byte

const (
	leaf       media = iota
	fieldsOnly       // lines, whatever it says: a report or a piece of a message
	message
	multipart
)

// mediaType is what Content-Type says.
type mediaType struct {
	media    media
	digest   bool
	boundary []byte // empty: there is none, or it cannot be told what it is
}

// lineMessages are the kinds of message that are fields, and for which base64
// is not allowed (RFC 2046 section 5.2, RFC 3464, RFC 5965, RFC 8098).
var lineMessages = [...]string{"delivery-status", "disposition-notification", "external-body", "feedback-report", "partial"}

// parseEncoding reads a field with its name.
func parseEncoding(field []byte) encoding {
	_, value, _ := bytes.Cut(field, []byte(":"))
	v := text{value}
	v.skip()
	switch word := v.token(); {
	case isWord(word, "binary"):
		return binary
	case isWord(word, "base64"), isWord(word, "quoted-printable"):
		return encoded
	}
	return asIs
}

// parseType reads the value of Content-Type. It changes it.
func parseType(value []byte) mediaType {
	v := text{value}
	v.skip()
	kind := v.token()
	v.skip()
	var subtype []byte
	if v.take('/') {
		v.skip()
		subtype = v.token()
	}
	switch {
	case isWord(kind, "multipart"):
		return mediaType{media: multipart, digest: isWord(subtype, "digest"), boundary: v.boundary()}
	case !isWord(kind, "message"):
		return mediaType{}
	case isWord(subtype, "rfc822"), isWord(subtype, "global"):
		return mediaType{media: message}
	}
	for _, name := range lineMessages {
		if isWord(subtype, name) {
			return mediaType{media: fieldsOnly}
		}
	}
	return mediaType{}
}

// text is what is left of the value of a field.
type text struct{ rest []byte }

// boundary returns the parameter of that name. What it is must be clear: a
// value in the way of RFC 2231 is not, some read the other one.
func (v *text) boundary() []byte {
	var found []byte
	for v.skip(); v.take(';'); v.skip() {
		v.skip()
		name := v.token()
		v.skip()
		if len(name) == 0 && (len(v.rest) == 0 || v.rest[0] == ';') {
			continue
		}
		if !v.take('=') {
			return found
		}
		v.skip()
		value, clear := v.value()
		switch {
		case len(name) > len("boundary") && isWord(name[:len("boundary*")], "boundary*"):
			return nil
		case !isWord(name, "boundary"):
		case !clear || found != nil:
			return nil
		default:
			found = value
		}
	}
	return found
}

// value returns that of a parameter. Characters that want quotes are taken
// without them, as they are in use.
func (v *text) value() (value []byte, clear bool) {
	if v.take('"') {
		value, clear = v.quoted()
	} else {
		end := bytes.IndexAny(v.rest, " \t\n;(\"")
		if end < 0 {
			end = len(v.rest)
		}
		value, v.rest = v.rest[:end], v.rest[end:]
		clear = len(v.rest) == 0 || v.rest[0] != '(' && v.rest[0] != '"'
	}
	v.skip()
	return value, clear && (len(v.rest) == 0 || v.rest[0] == ';')
}

// quoted returns the inside of a quoted string, which it writes over it.
func (v *text) quoted() (inside []byte, ended bool) {
	n := 0
	for i := 0; i < len(v.rest); i++ {
		octet := v.rest[i]
		if octet == '"' {
			inside, v.rest = v.rest[:n], v.rest[i+1:]
			return inside, true
		}
		if octet == '\\' && i+1 < len(v.rest) {
			i++
			octet = v.rest[i]
		}
		v.rest[n] = octet
		n++
	}
	v.rest = nil
	return nil, false
}

// skip passes blanks and comments, which may be nested.
func (v *text) skip() {
	depth := 0
	for i := 0; i < len(v.rest); i++ {
		switch octet := v.rest[i]; {
		case octet == '(':
			depth++
		case octet == ')' && depth > 0:
			depth--
		case octet == '\\' && depth > 0:
			i++
		case depth == 0 && !isBlank(octet) && octet != '\n':
			v.rest = v.rest[i:]
			return
		}
	}
	v.rest = nil
}

// token returns the token that is next (RFC 2045 section 5.1).
func (v *text) token() []byte {
	end := 0
	for end < len(v.rest) && isTokenOctet(v.rest[end]) {
		end++
	}
	word := v.rest[:end]
	v.rest = v.rest[end:]
	return word
}

func isTokenOctet(octet byte) bool {
	return octet > ' ' && octet < 0x7f && strings.IndexByte(`()<>@,;:\"/[]?=`, octet) < 0
}

func (v *text) take(octet byte) bool {
	if len(v.rest) == 0 || v.rest[0] != octet {
		return false
	}
	v.rest = v.rest[1:]
	return true
}

func isWord(b []byte, word string) bool { return bytes.EqualFold(b, []byte(word)) }
