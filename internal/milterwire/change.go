package milterwire

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

// Kind is what a milter wants changed at the end of a message.
type Kind byte

// The kinds.
const (
	AddHeader    Kind = 'h' // Name, Value
	ChangeHeader Kind = 'm' // Name, Value, Index: which of that name, from 1; no value: it goes
	InsertHeader Kind = 'i' // Name, Value, Index: before which of all, from 1
	AddRcpt      Kind = '+' // Address
	DeleteRcpt   Kind = '-' // Address
	ChangeFrom   Kind = 'e' // Address
	Quarantine   Kind = 'q' // Value: why

	addRcptPar  = '2'
	replaceBody = 'b'
)

// Change is one of them.
type Change struct {
	Kind    Kind
	Name    string
	Value   string // of a header field: lines that end in LF but for the last
	Index   int
	Address string // without brackets, not yet checked
}

const (
	maxChanges = 1000
	maxIndex   = 1 << 20
	maxAddress = 1000
)

// parseChange reads a packet that is no verdict and no body. Parameters of
// addresses are not kept.
func parseChange(letter byte, data []byte) (Change, error) {
	c := Change{Kind: Kind(letter)}
	switch c.Kind {
	case InsertHeader, ChangeHeader:
		if len(data) < 4 {
			return c, broken("change of a header field without an index")
		}
		c.Index = int(min(binary.BigEndian.Uint32(data), maxIndex))
		data = data[4:]
		fallthrough
	case AddHeader:
		fields, err := strs(data, 2, 2)
		if err != nil {
			return c, err
		}
		c.Name, c.Value = fields[0], foldSafe(fields[1])
		if !isName(c.Name) {
			return c, broken("header field %q", c.Name)
		}
		return c, nil
	case Quarantine:
		fields, err := strs(data, 1, 1)
		if err == nil {
			c.Value = printable(fields[0])
		}
		return c, err
	case AddRcpt, DeleteRcpt, ChangeFrom, addRcptPar:
		fields, err := strs(data, 1, 2)
		if err == nil {
			c.Address = withoutBrackets(fields[0])
			if !utf8.ValidString(c.Address) || len(c.Address) > maxAddress || hasControl(c.Address) {
				err = broken("address %q", c.Address[:min(len(c.Address), maxAddress)])
			}
		}
		if c.Kind == addRcptPar {
			c.Kind = AddRcpt
		}
		return c, err
	}
	return c, broken("unexpected change %q", letter)
}

// strs returns the strings of a packet, each ended by NUL.
func strs(data []byte, least, most int) ([]string, error) {
	if len(data) == 0 || data[len(data)-1] != 0 {
		return nil, broken("string that does not end")
	}
	parts := bytes.Split(data[:len(data)-1], []byte{0})
	if len(parts) < least || len(parts) > most {
		return nil, broken("%d strings", len(parts))
	}
	list := make([]string, len(parts))
	for i, part := range parts {
		list[i] = string(part)
	}
	return list, nil
}

func withoutBrackets(address string) string {
	if inner, found := strings.CutPrefix(address, "<"); found {
		return strings.TrimSuffix(inner, ">")
	}
	return address
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func isName(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == ':' {
			return false
		}
	}
	return s != ""
}

// foldSafe returns a value whose line ends are LF, each followed by a blank, so
// that it stays one field whatever it holds.
func foldSafe(value string) string {
	value = strings.ReplaceAll(value, "\r\n", "\n")
	value = strings.TrimRight(strings.ReplaceAll(value, "\r", "\n"), "\n")
	if !strings.Contains(value, "\n") {
		return value
	}
	lines := strings.Split(value, "\n")
	kept := lines[:1]
	for _, line := range lines[1:] {
		if strings.TrimLeft(line, " \t") == "" {
			continue // an empty one would end the header
		}
		if line[0] != ' ' && line[0] != '\t' {
			line = "\t" + line
		}
		kept = append(kept, line)
	}
	return strings.Join(kept, "\n")
}
