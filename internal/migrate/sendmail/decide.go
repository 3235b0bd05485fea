package sendmail

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"postrider/internal/aliases"
	"postrider/internal/migrate"
)

// alias is an entry of a table of aliases.
type alias struct{ list string }

// aliasFiles reads those that ALIAS_FILE names.
func (r *reader) aliasFiles() error {
	usual := path.Join(r.dir, "aliases")
	if _, err := r.tree.Read(usual); errors.Is(err, fs.ErrNotExist) {
		usual = "/etc/aliases"
	}
	for _, file := range strings.Split(r.define("ALIAS_FILE", usual), ",") {
		file = strings.TrimSpace(file)
		if at := strings.LastIndexByte(file, ':'); at >= 0 {
			file = strings.TrimSpace(file[at+1:])
		}
		if f := strings.Fields(file); len(f) > 0 {
			file = f[len(f)-1]
		}
		text, err := r.tree.Read(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		where := migrate.Where{File: file}
		err = aliases.Read(text, func(e aliases.Entry) error {
			if _, twice := r.aliases[e.Name]; !twice {
				r.aliases[e.Name] = alias{e.List}
				r.site.Probes = append(r.site.Probes, e.Name+"@"+r.host)
			}
			return nil
		})
		if err != nil {
			r.site.Remark(migrate.Lost, where, "aliases", "%v", err)
		}
		r.site.Add("aliases", file)
		r.site.Remark(migrate.Carried, where, "aliases", "control/aliases names this table, which stays where it is: run newaliases of this suite")
	}
	return nil
}

// Decide says what Sendmail does with mail for an address.
func (c *config) Decide(address string) migrate.Outcome {
	address = c.qualified(address)
	_, domain := migrate.Split(migrate.Lower(address))
	return migrate.Outcome{Taken: c.taken(domain), Ends: migrate.Expand(address, c.step)}
}

// taken tells whether a stranger may send to a domain.
func (c *config) taken(domain string) bool {
	if c.local[domain] && !c.null || c.virtual[domain] {
		return true
	}
	for name := domain; ; {
		if c.relayed[name] && (name == domain || !c.exact) {
			return true
		}
		for _, key := range []string{"to:" + name, name} {
			if e, found := c.access.find(key); found && (name == domain || !c.exact) {
				return strings.EqualFold(e.value, "RELAY")
			}
		}
		_, parent, more := strings.Cut(name, ".")
		if !more {
			return false
		}
		name = parent
	}
}

// step is one pass through the rules that choose a mailer.
func (c *config) step(address string) (ends, next []string) {
	address = c.qualified(address)
	local, domain := migrate.Split(address)
	lower := migrate.Lower(domain)
	if c.null {
		return []string{migrate.ToHost(address, relayOf(c.smart))}, nil
	}
	if c.local[lower] || c.virtual[lower] {
		if e, found := c.virtuser(local, lower); found {
			return c.lead(e, local)
		}
	}
	if !c.local[lower] || c.isRouted(lower) {
		return c.remote(address, lower)
	}
	return c.user(local, lower)
}

// isRouted tells whether mailertable has a local domain's mail go elsewhere.
func (c *config) isRouted(domain string) bool {
	_, found := c.mailers.find(domain)
	return found
}

// virtuser looks an address up: user+detail@domain, user@domain, @domain.
func (c *config) virtuser(local, domain string) (entry, bool) {
	user, _, _ := strings.Cut(local, "+")
	for _, key := range []string{local + "@" + domain, user + "@" + domain, "@" + domain} {
		if e, found := c.vusers.find(key); found {
			return e, true
		}
	}
	return entry{}, false
}

// lead follows the right-hand side of virtusertable.
func (c *config) lead(e entry, local string) (ends, next []string) {
	fields := strings.Fields(e.value)
	if len(fields) == 0 {
		return []string{migrate.Untold("an empty entry of virtusertable")}, nil
	}
	if strings.HasPrefix(fields[0], "error:") {
		return []string{migrate.Refused}, nil
	}
	user, detail, _ := strings.Cut(local, "+")
	whole := local
	if e.key[0] != '@' {
		whole = user
	}
	to := strings.NewReplacer("%1", whole, "%2", detail, "%3", detail).Replace(fields[0])
	if !strings.Contains(to, "@") {
		return c.user(to, c.host)
	}
	return nil, []string{to}
}

// remote is mailertable, the smart host, or the mail exchangers.
func (c *config) remote(address, domain string) (ends, next []string) {
	keys := []string{domain}
	for i := range len(domain) {
		if domain[i] == '.' {
			keys = append(keys, domain[i:])
		}
	}
	for _, key := range append(keys, ".") {
		e, found := c.mailers.find(key)
		if !found {
			continue
		}
		switch h := cutHop(e.value); {
		case bySMTP[h.mailer]:
			return []string{migrate.ToHost(address, relayOf(h.to))}, nil
		case h.mailer == "local":
			local, _ := migrate.Split(address)
			if h.to != "" {
				local = h.to
			}
			return c.user(local, c.host)
		case h.mailer == "error":
			return []string{migrate.Refused}, nil
		case h.mailer == "discard":
			return []string{migrate.Discarded}, nil
		default:
			return []string{migrate.Untold("mailer " + h.mailer)}, nil
		}
	}
	if c.virtual[domain] {
		return []string{migrate.Refused}, nil // its mail exchanger is this host
	}
	if c.smart != "" {
		return []string{migrate.ToHost(address, relayOf(smartHop(c.smart)))}, nil
	}
	return []string{migrate.ToHost(address, "")}, nil
}

// user is a local name: aliases, then accounts.
func (c *config) user(local, domain string) (ends, next []string) {
	name, _, _ := strings.Cut(local, "+")
	for _, key := range []string{local, name} {
		if a, found := c.aliases[migrate.Lower(key)]; found {
			return c.alias(a, migrate.Lower(key))
		}
	}
	return c.account(local)
}

// account is a user, whatever aliases there are, or nobody.
func (c *config) account(local string) (ends, next []string) {
	name, _, _ := strings.Cut(local, "+")
	for _, key := range []string{local, name} {
		if u, found := c.users[migrate.Lower(key)]; found {
			return []string{migrate.ToUser(u.Name, u.Home)}, nil
		}
	}
	if c.luser != "" {
		to := strings.TrimPrefix(c.luser, "local:")
		if strings.Contains(to, ":") {
			return []string{migrate.Untold("LUSER_RELAY")}, nil
		}
		if migrate.Lower(to) == migrate.Lower(local) {
			return []string{migrate.Refused}, nil
		}
		return nil, []string{c.qualified(to)}
	}
	return []string{migrate.Refused}, nil
}

func (c *config) alias(a alias, name string) (ends, next []string) {
	targets, err := aliases.Parse(a.list)
	if err != nil {
		return []string{migrate.Waits(err.Error())}, nil
	}
	return c.targets(targets, name, map[string]bool{})
}

// targets follows what an alias, or a list that it includes, leads to. A list in
// listed is not read again.
func (c *config) targets(targets []aliases.Target, name string, listed map[string]bool) (ends, next []string) {
	for _, t := range targets {
		var e, n []string
		switch t.Kind {
		case aliases.Address:
			n = []string{t.Text}
		case aliases.Name, aliases.Escaped:
			if t.Kind == aliases.Escaped || migrate.Lower(t.Text) == name {
				e, n = c.account(t.Text)
			} else {
				n = []string{t.Text + "@localhost"} // no table of addresses is asked about such a name
			}
		case aliases.File:
			e = []string{migrate.ToBox(t.Text)}
		case aliases.Include:
			e, n = c.include(t.Text, listed)
		default:
			e = []string{migrate.ToProgram(t.Text)}
		}
		ends, next = append(ends, e...), append(next, n...)
	}
	return ends, next
}

// include is a list of addresses.
func (c *config) include(file string, listed map[string]bool) (ends, next []string) {
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
	return c.targets(targets, "", listed)
}
