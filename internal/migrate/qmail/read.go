package qmail

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"postrider/internal/migrate"
)

// Directory is qmail's home directory.
const Directory = "/var/qmail"

// Places are where things are.
type Places struct {
	Home  string // qmail's home directory
	Rules string // of tcpserver, for SMTP; empty: in one of the usual places
}

// reader makes a site of an installation.
type reader struct {
	tree    *migrate.Tree
	home    string
	newHome string
	site    *migrate.Site
	old     *judge
}

// Read reads an installation. newHome is where this suite will be.
func Read(tree *migrate.Tree, places Places, newHome string) (*migrate.Site, migrate.Judge, error) {
	users, err := migrate.Accounts(tree)
	if err != nil {
		return nil, nil, err
	}
	r := &reader{tree: tree, home: path.Join("/", places.Home), newHome: newHome, site: migrate.New("qmail")}
	r.old = &judge{tree: tree, home: r.home, newHome: newHome, users: users, lists: map[string][]string{}}
	if err := r.control(); err != nil {
		return nil, nil, err
	}
	for _, part := range []func() error{r.aliases, r.assignments, func() error { return r.rules(places.Rules) }} {
		if err := part(); err != nil {
			return nil, nil, err
		}
	}
	r.domains()
	r.probes()
	return r.site, r.old, nil
}

// readFile reads a file of the installation.
func (r *reader) readFile(name string) (text string, there bool, err error) {
	text, err = r.tree.Read(path.Join(r.home, name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	return text, err == nil, err
}

// keep writes a file as it is.
func (r *reader) keep(name, text string, mode uint32) {
	r.site.Files[name] = migrate.File{Text: text, Mode: mode & 0o777, From: migrate.Where{File: path.Join(r.home, name)}}
}

// control goes through the control files.
func (r *reader) control() error {
	dir := path.Join(r.home, "control")
	names, err := r.tree.Names(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		where := migrate.Where{File: path.Join(dir, name)}
		if strings.HasSuffix(name, "~") || strings.HasSuffix(name, ".lock") || strings.HasSuffix(name, ".tmp") || name[0] == '.' && name != ".envrules" {
			continue // of editors, and of vpopmail
		}
		text, mode, err := r.tree.ReadMode(where.File)
		s, known := lookUp(name)
		switch {
		case !known:
			r.site.Remark(migrate.Lost, where, "control/"+name, "no qmail that is known here reads this file; nothing in this suite does")
		case err != nil && (s.take == nil || errors.Is(err, fs.ErrPermission)):
			r.remark(s, where)
			if s.take != nil {
				r.site.Remark(migrate.Lost, where, "control/"+name, "%v: it is not carried over", err)
			}
		case err != nil && s.kind == migrate.Carried:
			return err
		default:
			r.remark(s, where)
			if s.take != nil {
				s.take(r, file{name, text, mode, where})
			}
		}
	}
	r.openRelay()
	return nil
}

func (r *reader) remark(s setting, where migrate.Where) {
	if s.text != "" {
		r.site.Remark(s.kind, where, "control/"+path.Base(where.File), "%s", s.text)
	}
}

// openRelay says what a missing rcpthosts means.
func (r *reader) openRelay() {
	if _, there := r.site.Files["control/rcpthosts"]; !there {
		r.site.Remark(migrate.Decided, migrate.Where{File: path.Join(r.home, "control")}, "control/rcpthosts", "there is none: qmail then relays for the whole world, and this suite takes mail for locals only; RELAYCLIENT in control/tcp.smtp lets clients relay")
	}
}

// aliases copies the .qmail files of the user alias.
func (r *reader) aliases() error {
	names, err := r.tree.Names(path.Join(r.home, "alias"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		full := path.Join(r.home, "alias", name)
		if !strings.HasPrefix(name, ".qmail") {
			if !slices.Contains([]string{"Maildir", "Mailbox"}, name) && name[0] != '.' {
				r.site.Remark(migrate.Decided, migrate.Where{File: full}, "alias/"+name, "it stays where it is")
			}
			continue
		}
		text, mode, err := r.tree.ReadMode(full)
		if err != nil {
			r.site.Remark(migrate.Lost, migrate.Where{File: full}, "alias/"+name, "%v: qmail passes over what is no plain file", err)
			continue
		}
		r.keep("alias/"+name, text, mode)
	}
	return nil
}

// assignments copies the directory users.
func (r *reader) assignments() error {
	names, err := r.tree.Names(path.Join(r.home, "users"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		full := migrate.Where{File: path.Join(r.home, "users", name)}
		switch name {
		case "assign", "include", "exclude", "mailnames", "subusers", "append":
			text, mode, err := r.tree.ReadMode(full.File)
			if err != nil {
				return err
			}
			r.keep("users/"+name, text, mode|0o444)
		case "cdb":
			if slices.Contains(names, "assign") {
				continue // it is made of that
			}
			text, mode, err := r.tree.ReadMode(full.File)
			if err != nil {
				return err
			}
			r.keep("users/cdb", text, mode|0o444)
			r.site.Remark(migrate.Decided, full, "users/cdb", "there is no users/assign that it was made of: the database is copied as it is")
		default:
			if !strings.HasSuffix(name, ".lock") && !strings.HasSuffix(name, "~") {
				r.site.Remark(migrate.Lost, full, "users/"+name, "nothing in this suite reads this file")
			}
		}
	}
	return nil
}

// probes are the addresses about which the two are compared.
func (r *reader) probes() {
	locals := r.old.list("locals", true)
	for _, domain := range locals {
		for _, local := range []string{"postmaster", "root", "no-such-user-here"} {
			r.site.Probes = append(r.site.Probes, local+"@"+domain)
		}
	}
	if len(locals) > 0 {
		for _, name := range slices.Sorted(maps.Keys(r.old.users)) {
			a := r.old.users[name]
			r.probeHome(a.Home, a.Name, "-", locals[0])
		}
		r.probeHome(path.Join(r.home, "alias"), "", "-", locals[0])
	}
	r.probeVirtual()
	for _, a := range r.old.assigned() {
		if len(locals) > 0 && !a.wild {
			r.site.Probes = append(r.site.Probes, a.local+"@"+locals[0])
		}
	}
	for _, name := range r.old.list("rcpthosts", false) {
		r.site.Probes = append(r.site.Probes, "somebody@"+mailBelow(name))
	}
	for _, line := range append(r.old.list("smtproutes", false), r.old.list("qmtproutes", false)...) {
		if domain, _, _ := strings.Cut(line, ":"); domain != "" {
			r.site.Probes = append(r.site.Probes, "somebody@"+mailBelow(domain))
		}
	}
	r.site.Probes = append(r.site.Probes, "somebody@elsewhere.invalid")
}

// mailBelow is a domain that a pattern means.
func mailBelow(pattern string) string {
	if strings.HasPrefix(pattern, ".") {
		return "sub" + pattern
	}
	return pattern
}

// maxHomeProbes is for how many .qmail files of a home directory is asked.
const maxHomeProbes = 100000

// probeHome adds the addresses for which a home directory has instructions.
func (r *reader) probeHome(home, user, dash, domain string) {
	if user != "" {
		r.site.Probes = append(r.site.Probes, user+"@"+domain)
	}
	names, err := r.tree.Names(home)
	if err != nil {
		return // it is closed, or not there: Decide says so
	}
	prefix := user
	if user != "" {
		prefix += dash
		r.site.Probes = append(r.site.Probes, prefix+"no-such-extension@"+domain)
	}
	count := 0
	for _, name := range names {
		ext, found := strings.CutPrefix(name, ".qmail-")
		if !found {
			continue
		}
		if count++; count > maxHomeProbes {
			return
		}
		ext = strings.ReplaceAll(ext, ":", ".")
		if start, isDefault := strings.CutSuffix(ext, "default"); isDefault && (start == "" || strings.HasSuffix(start, "-")) {
			ext = start + "anything"
		}
		r.site.Probes = append(r.site.Probes, prefix+ext+"@"+domain)
	}
}

// probeVirtual adds those of virtual domains.
func (r *reader) probeVirtual() {
	for _, line := range r.old.list("virtualdomains", false) {
		key, prepend, found := strings.Cut(line, ":")
		switch {
		case !found || key == "":
			continue
		case strings.Contains(key, "@"):
			r.site.Probes = append(r.site.Probes, key)
			continue
		}
		domain := mailBelow(key)
		r.site.Probes = append(r.site.Probes, "postmaster@"+domain, "no-such-user-here@"+domain)
		if prepend == "" {
			continue
		}
		a := r.old.account(prepend + "-x")
		if !strings.HasSuffix(a.ext, "x") || a.home == "" {
			continue
		}
		r.probeDomain(a.home, strings.TrimSuffix(a.ext, "x"), domain)
	}
}

// probeDomain adds the addresses of a virtual domain whose mail a home directory
// has, with what its extensions begin with.
func (r *reader) probeDomain(home, begin, domain string) {
	names, _ := r.tree.Names(home) // if it is closed, Decide says so
	begin = strings.ReplaceAll(migrate.Lower(begin), ".", ":")
	for _, name := range names {
		ext, found := strings.CutPrefix(name, ".qmail-"+begin)
		if !found {
			continue
		}
		if start, isDefault := strings.CutSuffix(ext, "default"); isDefault {
			ext = start + "anything"
		}
		r.site.Probes = append(r.site.Probes, strings.ReplaceAll(ext, ":", ".")+"@"+domain)
	}
	for _, user := range r.old.vpopmailUsers(home) {
		r.site.Probes = append(r.site.Probes, user.name+"@"+domain)
	}
}
