package inject

import (
	"path/filepath"
	"strings"

	"postrider/internal/control"
	"postrider/internal/header"
	"postrider/internal/world"
)

// followup is the user's list of mailing lists: mail to one of them says that
// answers go to everybody it was sent to (spec section 7.1).
type followup struct {
	lists map[string]bool // in lower case
}

// readFollowup reads the file that QMAILMFTFILE names, below the qmail home
// directory if it is no absolute path.
func readFollowup(w world.World) (followup, error) {
	path, _ := w.Getenv("QMAILMFTFILE")
	if path == "" {
		return followup{}, nil
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(w.Home, path)
	}
	lines, _, err := control.Dir(filepath.Dir(path)).List(filepath.Base(path))
	if err != nil {
		return followup{}, trouble("unable to read QMAILMFTFILE", err)
	}
	f := followup{lists: make(map[string]bool, len(lines))}
	for _, line := range lines {
		f.lists[strings.ToLower(line)] = true
	}
	return f, nil
}

// followupTo writes Mail-Followup-To if the message goes to a list of the
// user's and does not have it. It has the addresses of To and Cc, the last
// field first.
func (c *composer) followupTo() error {
	if len(c.lists) == 0 || c.survey.resent || c.survey.seen["mail-followup-to"] {
		return nil
	}
	var fields []int32 // where those begin that have addresses
	toList := false
	for at := 0; at < len(c.head); {
		field, _ := header.Next(c.head[at:])
		if some, listed := c.visible(field); some {
			fields = append(fields, int32(at))
			toList = toList || listed
		}
		at += len(field)
	}
	if !toList {
		return nil
	}
	var p *header.Parser
	return c.printer.Addrs("Mail-Followup-To", func() (header.Addr, bool) {
		for {
			if p != nil {
				if a, ok := c.nextAddress(p); ok {
					return a, true
				}
			}
			if len(fields) == 0 {
				return header.Addr{}, false
			}
			field, _ := header.Next(c.head[fields[len(fields)-1]:])
			fields = fields[:len(fields)-1]
			p = header.NewParser(header.Split(field).Body)
		}
	})
}

// visible reports whether a field is a To or Cc with addresses, and whether one
// of those is a list of the user's. It has none if it cannot be read: what that
// means is decided where the field is written.
func (c *composer) visible(field string) (some, listed bool) {
	name, _ := header.Name(field)
	if rule := c.survey.rule(name).name; rule != "to" && rule != "cc" || !c.readable(field) {
		return false, false
	}
	p := header.NewParser(header.Split(field).Body)
	for {
		a, ok := c.nextAddress(p)
		if !ok {
			return some, listed
		}
		some = true
		listed = listed || c.lists[strings.ToLower(a.String())]
	}
}

// nextAddress returns the next complete address of a field that is readable.
func (c *composer) nextAddress(p *header.Parser) (header.Addr, bool) {
	for {
		item, ok := p.Next()
		if !ok {
			return header.Addr{}, false
		}
		if item.Kind != header.Mailbox || item.Addr.IsNull() {
			continue
		}
		a, err := c.rules.complete(item.Addr)
		return a, err == nil
	}
}
