package address

import (
	"errors"
	"strings"
)

// MaxLen is the longest address the queue takes, in bytes (spec section 1.1).
const MaxLen = 1002

// What New refuses.
var (
	ErrTooLong     = errors.New("address is too long")
	ErrControl     = errors.New("address contains a line end or a zero byte")
	ErrEmptyDomain = errors.New("address ends with @")
)

// An Address is an envelope sender or recipient. The zero value is the null
// address, which as a sender means "send no bounce".
type Address struct {
	s string
}

// New checks s and makes an address of it. The empty string is the null
// address, and a string without "@" is an address whose domain is yet unknown.
func New(s string) (Address, error) {
	if len(s) > MaxLen {
		return Address{}, ErrTooLong
	}
	if strings.ContainsAny(s, "\r\n\x00") {
		return Address{}, ErrControl
	}
	if strings.HasSuffix(s, "@") {
		return Address{}, ErrEmptyDomain
	}
	return Address{s}, nil
}

func (a Address) String() string { return a.s }

// IsNull reports whether a is the null address.
func (a Address) IsNull() bool { return a.s == "" }

// Local returns what stands before the last "@", or everything.
func (a Address) Local() string {
	if at := strings.LastIndexByte(a.s, '@'); at >= 0 {
		return a.s[:at]
	}
	return a.s
}

// Domain returns what stands behind the last "@", or nothing.
func (a Address) Domain() string {
	if at := strings.LastIndexByte(a.s, '@'); at >= 0 {
		return a.s[at+1:]
	}
	return ""
}

// HasDomain reports whether a has an "@".
func (a Address) HasDomain() bool { return strings.IndexByte(a.s, '@') >= 0 }

// Quoted returns the address as headers and SMTP commands show it.
func (a Address) Quoted() string { return Quote(a.s) }
