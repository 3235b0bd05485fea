package logread

import (
	"strconv"
	"time"
)

// AppendJSON appends the line as one JSON object and a line end. Facts keep
// their names; those that are always numbers, and are not too large for a double,
// are numbers. The names of the object's own members are time (RFC 3339 in UTC,
// with microseconds; missing if at is the zero time), program, event and text;
// a fact that has one of these names has an underscore behind it.
func (l Line) AppendJSON(out []byte, at time.Time) []byte {
	out = append(out, '{')
	if !at.IsZero() {
		out = append(out, `"time":"`...)
		out = at.UTC().AppendFormat(out, "2006-01-02T15:04:05.000000Z")
		out = append(out, `",`...)
	}
	if l.Program != "" {
		out = appendMember(out, "program", l.Program)
		out = append(out, ',')
	}
	out = appendMember(out, "event", l.Event)
	for _, f := range l.Facts {
		out = append(out, ',')
		switch name := f.Name; {
		case name == "time" || name == "program" || name == "event" || name == "text" && l.Text != "":
			out = appendMember(out, name+"_", f.Value)
		case isNumber(f.Value) && numbers[name]:
			out = append(appendString(out, name), ':')
			out = append(out, f.Value...)
		default:
			out = appendMember(out, name, f.Value)
		}
	}
	if l.Text != "" {
		out = append(out, ',')
		out = appendMember(out, "text", l.Text)
	}
	return append(out, '}', '\n')
}

// numbers are the facts that are numbers in JSON; ids are not, which a double
// does not hold.
var numbers = map[string]bool{
	"bytes": true, "uid": true, "delivery": true, "local": true, "locallimit": true, "remote": true, "remotelimit": true,
	"session": true, "port": true, "rcpts": true, "code": true, "messages": true, "refused": true, "ms": true,
}

func isNumber(s string) bool {
	n, err := strconv.ParseUint(s, 10, 53)
	return err == nil && strconv.FormatUint(n, 10) == s
}

func appendMember(out []byte, name, value string) []byte {
	out = append(appendString(out, name), ':')
	return appendString(out, value)
}

// appendString quotes s. Lines are printable ASCII; other octets of a line that
// is not ours become U+FFFD.
func appendString(out []byte, s string) []byte {
	out = append(out, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c < ' ' || c == 127:
			out = append(out, `\u00`...)
			out = append(out, "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
		case c > 127:
			out = append(out, "\uFFFD"...)
		default:
			out = append(out, c)
		}
	}
	return append(out, '"')
}
