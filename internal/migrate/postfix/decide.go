package postfix

import (
	"errors"
	"slices"
	"strings"

	"postrider/internal/aliases"
	"postrider/internal/migrate"
)

// config is all that was read of Postfix.
type config struct {
	tree     *migrate.Tree
	main     *mainCF
	services []service
	tables   map[string]*table
	lists    map[string]*listed
	names    map[string]*aliasTable
	users    map[string]migrate.Account
}

// class is what a domain is to Postfix (ADDRESS_CLASS_README).
type class int

const (
	elsewhere class = iota
	localClass
	virtualAlias
	virtualMailbox
	relayed
)

// class finds that of a domain.
func (c *config) class(domain string) (class, error) {
	for _, each := range []struct {
		parameter string
		is        class
	}{
		{"mydestination", localClass}, {"virtual_alias_domains", virtualAlias},
		{"virtual_mailbox_domains", virtualMailbox}, {"relay_domains", relayed},
	} {
		met, err := c.matchesDomain(each.parameter, domain)
		if met || err != nil {
			return each.is, err
		}
	}
	return elsewhere, nil
}

// Decide says what Postfix does with mail for an address.
func (c *config) Decide(address string) migrate.Outcome {
	address = c.qualified(address)
	_, domain := migrate.Split(address)
	is, err := c.class(migrate.Lower(domain))
	if err != nil {
		return migrate.Outcome{Ends: []string{trouble(err)}}
	}
	return migrate.Outcome{Taken: is != elsewhere, Ends: migrate.Expand(address, c.step)}
}

// qualified gives a name its domain.
func (c *config) qualified(address string) string {
	if strings.Contains(address, "@") {
		return address
	}
	origin := c.main.get("myorigin")
	if strings.HasPrefix(origin, "/") {
		text, _ := c.tree.Read(origin) // what is wrong with it is a remark
		origin, _, _ = strings.Cut(text, "\n")
	}
	return address + "@" + strings.TrimSpace(origin)
}

// trouble is the end of an address of which something is not known.
func trouble(err error) string {
	var untold errUntold
	if errors.As(err, &untold) {
		return migrate.Untold(err.Error())
	}
	return migrate.Waits(err.Error())
}

// step is cleanup(8), and then where the address goes.
func (c *config) step(address string) (ends, next []string) {
	address = c.qualified(address)
	for _, parameter := range []string{"recipient_canonical_maps", "canonical_maps"} {
		to, found, err := c.rewrite(parameter, address, "canonical")
		if err != nil {
			return []string{trouble(err)}, nil
		}
		if found && len(to) > 0 {
			address = to[0]
		}
	}
	to, found, err := c.rewrite("virtual_alias_maps", address, "virtual")
	if err != nil {
		return []string{trouble(err)}, nil
	}
	if !found {
		return c.route(address)
	}
	for _, t := range to {
		if migrate.Lower(t) == migrate.Lower(address) {
			e, n := c.route(address)
			ends, next = append(ends, e...), append(next, n...)
			continue
		}
		next = append(next, t)
	}
	return ends, next
}

// cutExtension takes an extension, with what is in front of it, from a local part.
func (c *config) cutExtension(local string) (name, extension string) {
	delimiters := c.main.get("recipient_delimiter")
	if delimiters == "" {
		return local, ""
	}
	if at := strings.IndexAny(local, delimiters); at > 0 {
		return local[:at], local[at:]
	}
	return local, ""
}

// isOurs tells whether a name without a domain is looked up for addresses of this
// one.
func (c *config) isOurs(domain string) bool {
	local, err := c.matchesDomain("mydestination", domain)
	_, origin := migrate.Split(c.qualified("x"))
	return local && err == nil || domain == migrate.Lower(origin)
}

// rewrite looks an address up as virtual(5) and canonical(5) have it: user+ext@domain,
// user@domain, user+ext, user, @domain.
func (c *config) rewrite(parameter, address, of string) (to []string, found bool, err error) {
	local, domain := migrate.Split(address)
	lower := migrate.Lower(domain)
	name, extension := c.cutExtension(local)
	type try struct{ key, keep, rest string }
	tries := []try{{address, "", ""}}
	if extension != "" {
		tries = append(tries, try{name + "@" + domain, extension, ""})
	}
	if c.isOurs(lower) {
		tries = append(tries, try{local, "", ""})
		if extension != "" {
			tries = append(tries, try{name, extension, ""})
		}
	}
	tries = append(tries, try{"@" + domain, "", local})
	propagates := slices.Contains(words(c.main.get("propagate_unmatched_extensions")), of)
	for i, t := range tries {
		e, found, err := c.find(parameter, t.key, i == 0)
		if err != nil {
			return nil, false, err
		}
		if !found {
			continue
		}
		targets, err := addresses(e.value)
		if err != nil {
			return nil, false, remarkable{e.where, err}
		}
		for _, target := range targets {
			if rest, at := strings.CutPrefix(target, "@"); at {
				target = local + "@" + rest
			} else if t.keep != "" && propagates {
				l, d := migrate.Split(c.qualified(target))
				target = l + t.keep + "@" + d
			}
			to = append(to, c.qualified(target))
		}
		return to, true, nil
	}
	return nil, false, nil
}

// addresses reads the right-hand side of virtual(5): addresses, with @domain
// among them.
func addresses(value string) ([]string, error) {
	var all []string
	for _, word := range strings.Split(value, ",") {
		if word = strings.TrimSpace(word); word == "" {
			continue
		}
		if word[0] == '@' && !strings.ContainsAny(word, " \t\"<>()") {
			all = append(all, word)
			continue
		}
		targets, err := aliases.Parse(word)
		if err != nil {
			return nil, err
		}
		for _, t := range targets {
			if t.Kind != aliases.Address && t.Kind != aliases.Name && t.Kind != aliases.Escaped {
				return nil, errors.New("this table has addresses only")
			}
			all = append(all, t.Text)
		}
	}
	return all, nil
}

// route says where an address goes that is rewritten no more.
func (c *config) route(address string) (ends, next []string) {
	local, domain := migrate.Split(address)
	is, err := c.class(migrate.Lower(domain))
	if err != nil {
		return []string{trouble(err)}, nil
	}
	by, err := c.transport(address)
	if err != nil {
		return []string{trouble(err)}, nil
	}
	if is != virtualAlias && by.transport != "" && by.transport != "local" && by.transport != "virtual" {
		return []string{c.handOver(by, address)}, nil
	}
	switch is {
	case localClass:
		return c.local(local, domain)
	case virtualAlias:
		return []string{migrate.Refused}, nil
	case virtualMailbox:
		return []string{c.mailbox(address)}, nil
	case relayed:
		if c.main.isSet("relay_recipient_maps") && c.main.get("relay_recipient_maps") != "" {
			_, found, err := c.findRecipient("relay_recipient_maps", address)
			switch {
			case err != nil:
				return []string{trouble(err)}, nil
			case !found:
				return []string{migrate.Refused}, nil
			}
		}
	}
	return []string{c.handOver(c.outward(), address)}, nil
}

// findRecipient looks for user+ext@domain, user@domain and @domain.
func (c *config) findRecipient(parameter, address string) (e entry, found bool, err error) {
	local, domain := migrate.Split(address)
	name, _ := c.cutExtension(local)
	for i, key := range []string{address, name + "@" + domain, "@" + domain} {
		if e, found, err = c.find(parameter, key, i == 0); found || err != nil {
			return e, found, err
		}
	}
	return entry{}, false, nil
}

// local is local(8): aliases, then users.
func (c *config) local(local, domain string) (ends, next []string) {
	name, _ := c.cutExtension(local)
	for _, key := range []string{local, name} {
		e, found, err := c.findAlias(migrate.Lower(key))
		switch {
		case err != nil:
			return []string{trouble(err)}, nil
		case found:
			return c.alias(migrate.Lower(key), domain, e)
		}
	}
	return c.user(local, domain)
}

// user is an account, or nobody.
func (c *config) user(local, domain string) (ends, next []string) {
	name, _ := c.cutExtension(local)
	for _, key := range []string{local, name} {
		if u, found := c.users[migrate.Lower(key)]; found {
			return []string{migrate.ToUser(u.Name, u.Home)}, nil
		}
	}
	if to := c.main.get("luser_relay"); to != "" {
		return nil, []string{c.qualified(to)}
	}
	if c.main.get("fallback_transport") != "" {
		return []string{migrate.Untold("fallback_transport")}, nil
	}
	return []string{migrate.Refused}, nil
}

// alias is what aliases(5) says of a name.
func (c *config) alias(name, domain string, e entry) (ends, next []string) {
	targets, err := aliases.Parse(e.value)
	if err != nil {
		return []string{migrate.Waits(err.Error())}, nil
	}
	return c.targets(targets, name, domain, map[string]bool{})
}

// targets follows what an alias, or a list that it includes, leads to. A list in
// listed is not read again.
func (c *config) targets(targets []aliases.Target, name, domain string, listed map[string]bool) (ends, next []string) {
	for _, t := range targets {
		var e, n []string
		switch t.Kind {
		case aliases.Address:
			n = []string{t.Text}
		case aliases.Name, aliases.Escaped:
			if t.Kind == aliases.Escaped || migrate.Lower(t.Text) == name {
				e, n = c.user(t.Text, domain)
			} else {
				n = []string{c.qualified(t.Text)}
			}
		case aliases.File:
			e = []string{migrate.ToBox(t.Text)}
		case aliases.Include:
			e, n = c.include(t.Text, domain, listed)
		default:
			e = []string{migrate.ToProgram(t.Text)}
		}
		ends, next = append(ends, e...), append(next, n...)
	}
	return ends, next
}

// include is a list of addresses.
func (c *config) include(file, domain string, listed map[string]bool) (ends, next []string) {
	if listed[file] {
		return nil, nil
	}
	listed[file] = true
	text, err := c.tree.Read(file)
	if err != nil {
		return []string{migrate.Waits(err.Error())}, nil
	}
	targets, err := aliases.ParseLines(text)
	if err != nil {
		return []string{migrate.Waits(err.Error())}, nil
	}
	return c.targets(targets, "", domain, listed)
}
