package postfix

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"postrider/internal/migrate"
)

// reader makes a site of a configuration.
type reader struct {
	*config
	site *migrate.Site
	// rules are the lines of tcp.smtp, in their order.
	rules []string
	// exempt are networks about which nothing is asked.
	exempt []string
	// boxes are the domains of virtual mailboxes, with those alone.
	boxes map[string]*migrate.Domain
	// people are who gets mail.
	people []migrate.Account
}

// Directory is where the configuration usually is.
const Directory = "/etc/postfix"

// Read reads the configuration in a directory of a tree. The judge says what
// Postfix does by it.
func Read(tree *migrate.Tree, dir string) (*migrate.Site, migrate.Judge, error) {
	file := path.Join(dir, "main.cf")
	text, err := tree.Read(file)
	if err != nil {
		return nil, nil, err
	}
	users, err := migrate.Accounts(tree)
	if err != nil {
		return nil, nil, err
	}
	host, err := tree.Read("/etc/hostname")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	c := &config{tree: tree, main: parseMain(text, file, strings.TrimSpace(host)), users: users,
		tables: map[string]*table{}, lists: map[string]*listed{}, names: map[string]*aliasTable{}}
	r := &reader{config: c, site: migrate.New("Postfix"), boxes: map[string]*migrate.Domain{}}
	r.site.Remarks = append(r.site.Remarks, c.main.broken...)
	master := path.Join(dir, "master.cf")
	switch text, err := tree.Read(master); {
	case errors.Is(err, fs.ErrNotExist):
		r.site.Remark(migrate.Decided, migrate.Where{File: master}, "master.cf", "there is none: mail is taken at port 25")
	case err != nil:
		return nil, nil, err
	default:
		var broken []migrate.Remark
		c.services, broken = parseMaster(text, master)
		r.site.Remarks = append(r.site.Remarks, broken...)
	}
	r.everything()
	return r.site, c, nil
}

// everything turns the configuration into the site, part by part.
func (r *reader) everything() {
	r.site.Set("me", migrate.Lower(r.main.get("myhostname")))
	r.site.Set("defaultdelivery", "./Mailbox") // what local(8) does; home_mailbox says otherwise
	r.site.Control["tcp.smtp"] = nil
	for _, p := range parameters {
		if r.main.isSet(p.name) {
			r.parameter(p)
		}
	}
	for _, name := range r.main.order {
		if _, known := lookUp(name); !known && !r.isVariable(name) {
			s := r.main.set[name]
			r.site.Remark(migrate.Lost, s.where, name+" = "+short(s.value), "this parameter is not known; if it changes where mail goes or who may send it, look for it in the documentation of Postfix")
		}
	}
	r.relayClients()
	r.listeners()
	r.destinations()
	r.mailboxDomains()
	r.aliases()
	r.virtual()
	r.extensions()
	r.routes()
	r.delivery()
	r.site.Control["tcp.smtp"] = append(r.rules, ":allow")
}

// isVariable tells a name that is there for others to name, $name.
func (r *reader) isVariable(name string) bool {
	for _, s := range r.main.set {
		for _, form := range []string{"$" + name, "${" + name, "$(" + name} {
			if strings.Contains(s.value, form) {
				return true
			}
		}
	}
	return slices.ContainsFunc(r.services, func(s service) bool {
		return slices.ContainsFunc(s.args, func(a string) bool { return strings.Contains(a, name) }) || slices.ContainsFunc(optionValues(s), func(v string) bool { return strings.Contains(v, "$"+name) })
	})
}

func optionValues(s service) []string {
	var all []string
	for _, v := range s.options {
		all = append(all, v)
	}
	return all
}

func (r *reader) probe(address string) { r.site.Probes = append(r.site.Probes, address) }

// domains are those that a parameter names, with a remark for what it does not.
func (r *reader) domains(parameter string) []string {
	return r.config.domains(parameter, func(where migrate.Where, what, why string) {
		r.site.Remark(migrate.Lost, where, parameter+": "+what, "%s", why)
	})
}

// readable tells whether the entries of a table are known, and says so if not.
func (r *reader) readable(t *table, parameter string) bool {
	where, spec := r.main.where(parameter), t.spec
	if parameter == "smtp_sasl_password_maps" { // static: and inline: have passwords
		spec, _, _ = strings.Cut(spec, ":")
	}
	switch {
	case t.err != nil:
		r.site.Remark(migrate.Lost, where, parameter+": "+spec, "%v", t.err)
		return false
	case t.rules != nil:
		for _, rule := range t.rules {
			r.site.Remark(migrate.Lost, rule.where, rule.source, "there are no patterns here: name the addresses that are meant, in a .qmail file each")
		}
		return false
	case t.static != nil:
		r.site.Remark(migrate.Lost, where, parameter+": "+spec, "one value for everything: name the addresses that are meant")
		return false
	}
	return true
}
