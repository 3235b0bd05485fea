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
