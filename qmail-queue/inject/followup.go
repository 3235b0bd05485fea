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
func (c *composer) followupTo(head string) error {
	if len(c.lists) == 0 || c.survey.resent || c.survey.seen["mail-followup-to"] {
		return nil
	}
	var all [][]header.Addr
	toList := false
	for head != "" {
		var field string
		field, head = header.Next(head)
		name, _ := header.Name(field)
		if rule := c.survey.rule(name).name; rule != "to" && rule != "cc" {
			continue
		}
		addrs := c.addressesOf(field)
		for _, a := range addrs {
			toList = toList || c.lists[strings.ToLower(a.String())]
		}
		all = append(all, addrs)
	}
	if !toList {
		return nil
	}
	return c.printer.Addrs("Mail-Followup-To", func() (header.Addr, bool) {
		for len(all) > 0 && len(all[len(all)-1]) == 0 {
			all = all[:len(all)-1]
		}
		if len(all) == 0 {
			return header.Addr{}, false
		}
		last := &all[len(all)-1]
		a := (*last)[0]
		*last = (*last)[1:]
		return a, true
	})
}

// addressesOf returns the addresses of a field, none if it cannot be read: what
// that means is decided where the field is written.
func (c *composer) addressesOf(field string) []header.Addr {
	var addrs []header.Addr
	p := header.NewParser(header.Split(field).Body)
	for {
		item, ok := p.Next()
		if !ok {
			break
		}
		if item.Kind != header.Mailbox || item.Addr.IsNull() {
			continue
		}
		a, err := c.rules.complete(item.Addr)
		if err != nil || len(addrs) >= maxAddresses {
			return nil
		}
		addrs = append(addrs, a)
	}
	if p.Err() != nil {
		return nil
	}
	return addrs
}
