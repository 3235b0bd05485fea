package policy

import (
	"net/netip"
	"time"

	"postrider/internal/wire/codec"
)

// begin takes the first byte of an answer to a question of a kind.
func begin(b []byte, kind byte) *codec.Reader {
	r := codec.NewReader(b)
	switch r.Uint8() {
	case kind:
	case kindUnknown:
		r.Fail(errUnsure)
	default:
		r.Fail(errForm)
	}
	return r
}

// appendListings makes any text one that the protocol allows, and leaves out
// what is too much.
func appendListings(b []byte, all []Listing) []byte {
	b = append(b, kindLists)
	for _, l := range all {
		codes := l.Codes[:min(len(l.Codes), MaxCodes)]
		b = append(b, byte(l.Standing), byte(len(codes)))
		for _, c := range codes {
			octets := c.As4()
			b = append(b, octets[:]...)
		}
		b = codec.AppendBytes(b, printable(l.Text, MaxText))
	}
	return b
}

// parseListings takes the answers of n lists.
func parseListings(b []byte, n int) ([]Listing, error) {
	r := begin(b, kindLists)
	all := make([]Listing, 0, n)
	for range n {
		l := Listing{Standing: Standing(r.Uint8())}
		codes := int(r.Uint8())
		if l.Standing > NoAnswer || codes > MaxCodes {
			r.Fail(errForm)
		}
		for range codes {
			if octets := r.Bytes(4); octets != nil {
				l.Codes = append(l.Codes, netip.AddrFrom4([4]byte(octets)))
			}
		}
		l.Text = text(r, MaxText)
		all = append(all, l)
	}
	if err := r.Done(); err != nil {
		return nil, err
	}
	return all, nil
}

func appendName(b []byte, state NameState, name string) []byte {
	return codec.AppendBytes(append(b, kindName, byte(state)), printable(name, MaxName))
}

// parseName takes a name, which is empty if there is none.
func parseName(b []byte) (NameState, string, error) {
	r := begin(b, kindName)
	state, name := NameState(r.Uint8()), ""
	if state > NameUnsure {
		r.Fail(errForm)
	}
	name = text(r, MaxName)
	if (state == Confirmed || state == Unconfirmed) != (name != "") {
		r.Fail(errForm)
	}
	if err := r.Done(); err != nil {
		return NameUnsure, "", err
	}
	return state, name, nil
}

func parseResult(b []byte) (Result, error) {
	r := begin(b, kindSender)
	result := Result(r.Uint8())
	if int(result) >= len(resultWords) {
		r.Fail(errForm)
	}
	if err := r.Done(); err != nil {
		return TempError, err
	}
	return result, nil
}

func appendWait(b []byte, wait time.Duration) []byte {
	seconds := min((max(0, wait)+time.Second-1)/time.Second, MaxDelay)
	return codec.AppendUint32(append(b, kindGrey), uint32(seconds))
}

func parseWait(b []byte) (time.Duration, error) {
	r := begin(b, kindGrey)
	seconds := r.Uint32()
	if seconds > MaxDelay {
		r.Fail(errForm)
	}
	if err := r.Done(); err != nil {
		return 0, err
	}
	return time.Duration(seconds) * time.Second, nil
}

// printable cuts a text and puts "?" for what is not printable ASCII.
func printable(s string, most int) []byte {
	b := []byte(s[:min(len(s), most)])
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return b
}

// text takes a text that printable made.
func text(r *codec.Reader, most int) string {
	s := r.String(most)
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			r.Fail(errForm)
		}
	}
	return s
}
