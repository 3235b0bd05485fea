package dkim

import (
	"bytes"

	"postrider/internal/header"
	"postrider/internal/idn"
)

// Author returns the domain in the From field, as name servers know it. It is
// empty unless there is one such field, whose addresses are all of one domain:
// then nobody knows who the author is.
func (h Header) Author() string {
	var from []byte
	for _, f := range h.fields {
		if f.name != "from" {
			continue
		}
		if from != nil {
			return ""
		}
		_, from, _ = bytes.Cut(f.text, []byte{':'})
	}
	domain := ""
	p := header.NewParser(string(from))
	for item, ok := p.Next(); ok; item, ok = p.Next() {
		if item.Kind != header.Mailbox {
			continue
		}
		key := idn.Key(item.Addr.Host)
		if key == "" || domain != "" && key != domain {
			return ""
		}
		domain = key
	}
	if p.Err() != nil {
		return ""
	}
	return domain
}

// Only returns the value of the one field of a name, which is in lower case; it is
// false if there is none, or more.
func (h Header) Only(name string) (value string, one bool) {
	for _, f := range h.fields {
		if f.name != name {
			continue
		}
		if one {
			return "", false
		}
		_, text, _ := bytes.Cut(f.text, []byte{':'})
		value, one = string(text), true
	}
	return value, one
}

// Fields is how many there are.
func (h Header) Fields() int { return len(h.fields) }

// Travelled reports whether a message that a program of this host handed in had
// come from elsewhere before: it has more than the one Received field that it
// got then, or was delivered to somebody. Whoever forwards mail leaves those
// fields, and its author cannot take them out.
func (h Header) Travelled() bool {
	received := 0
	for _, f := range h.fields {
		switch f.name {
		case "delivered-to":
			return true
		case "received":
			received++
		}
	}
	return received > 1
}
