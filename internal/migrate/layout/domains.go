package layout

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"postrider/internal/address"
	"postrider/internal/migrate"
)

const (
	virtualDir   = "users/virtual"
	defaultWord  = "default"
	maxLocalPart = 200 // with the domain, below what a file's name may have
	ownerEnd     = "-owner"
)

// domains turns the domains of a site into control files and .qmail files.
func (w *writer) domains() {
	for _, d := range w.site.SortedDomains() {
		if strings.ContainsAny(d.Name, ":/# \t") || d.Name == "" || d.Name[0] == '.' {
			w.site.Remark(migrate.Lost, migrate.Where{}, d.Name, "this is no name of a domain")
			continue
		}
		if d.Owner != nil {
			w.owned(d)
		} else {
			w.aliased(d)
		}
	}
}

// aliased is a domain whose addresses are files of the user alias.
func (w *writer) aliased(d *migrate.Domain) {
	prefix := w.prefix(d.Name)
	file := "alias/.qmail-" + strings.ReplaceAll(d.Name, ".", ":") + "-"
	if !d.Single {
		w.site.Add("virtualdomains", d.Name+":"+prefix)
	}
	for _, local := range slices.Sorted(maps.Keys(d.Addresses)) {
		if w.entry(d, local, file) && d.Single {
			w.site.Add("virtualdomains", local+"@"+d.Name+":"+prefix)
		}
	}
	if d.Single {
		return
	}
	switch _, catchAll := w.site.Files["alias/.qmail-default"]; {
	case len(d.Default) > 0:
		w.put(file+defaultWord, w.instructions(d.Default))
	case catchAll: // which is for local domains only
		w.put(file+defaultWord, w.instructions([]migrate.Target{{Kind: migrate.Refuse, Text: "Sorry, no mailbox here by that name. (#5.1.1)"}}))
	}
}

// prefix is what is put in front of the addresses of a domain: alias- where a dash
// ends the name of a user, so that no user's name can begin it, else the domain,
// which no user is called.
func (w *writer) prefix(domain string) string {
	if breaks := w.site.Control["break"]; len(breaks) > 0 && !strings.Contains(breaks[0], "-") {
		return domain
	}
	return "alias-" + domain
}

// owned is a domain whose mail one account has, in files of a directory of its
// own.
func (w *writer) owned(d *migrate.Domain) {
	dir := virtualDir + "/" + d.Name
	w.site.Add("virtualdomains", d.Name+":virtual-"+d.Name)
	w.assign = append(w.assign, fmt.Sprintf("+virtual-%s-:%s:%d:%d:%s/%s:-::", d.Name, d.Owner.Name, d.Owner.UID, d.Owner.GID, w.home, dir))
	w.dirs = append(w.dirs, dir)
	for _, local := range slices.Sorted(maps.Keys(d.Addresses)) {
		w.entry(d, local, dir+"/.qmail-")
	}
	if len(d.Default) > 0 {
		w.put(dir+"/.qmail-"+defaultWord, w.instructions(d.Default))
	}
}

// entry writes the file of an address, if there can be one.
func (w *writer) entry(d *migrate.Domain, local, file string) bool {
	whole := local + "@" + d.Name
	lose := func(why string) bool {
		w.site.Remark(migrate.Lost, migrate.Where{}, whole, "%s", why)
		return false
	}
	_, err := address.New(whole)
	switch {
	case err != nil:
		return lose(err.Error())
	case local == "" || len(local)+len(d.Name) > maxLocalPart:
		return lose("no local part, or one that is too long for the name of a file")
	case strings.Contains(local, "$") && slices.ContainsFunc(d.Addresses[local], func(t migrate.Target) bool { return t.Kind == migrate.Hand }):
		return lose("a dollar sign cannot be told to a delivery server")
	case strings.ContainsAny(local, "/:"):
		return lose("a slash or a colon cannot be in the name of a .qmail file")
	case local == defaultWord || strings.HasSuffix(local, "-"+defaultWord):
		return lose("a .qmail file of that name would be for all addresses that begin so: give the address another name")
	case strings.HasSuffix(local, ownerEnd):
		if other := strings.TrimSuffix(local, ownerEnd); d.Addresses[other] != nil {
			w.site.Remark(migrate.Decided, migrate.Where{}, whole, "what is forwarded from %s@%s has this address as its sender, as it is with qmail", other, d.Name)
		}
	}
	w.put(file+strings.ReplaceAll(local, ".", ":"), w.instructions(d.Addresses[local]))
	return true
}

// instructions are the lines of a .qmail file.
func (w *writer) instructions(targets []migrate.Target) string {
	var b strings.Builder
	for _, t := range targets {
		line := strings.TrimRight(t.Text, " \t")
		if strings.ContainsAny(line, "\n\x00") || t.Kind == migrate.Box && !strings.HasPrefix(line, "/") {
			w.site.Remark(migrate.Lost, migrate.Where{}, line, "this cannot be a line of a .qmail file")
			t, line = migrate.Target{Kind: migrate.Refuse}, "Sorry, this address is not set up. (#5.3.5)"
		}
		switch t.Kind {
		case migrate.Forward:
			b.WriteString("&" + line + "\n")
		case migrate.Rest:
			program, ok := migrate.RestLine(w.home, line)
			if !ok {
				w.site.Remark(migrate.Lost, migrate.Where{}, line, "this has characters that a shell would see")
				program = migrate.RefuseLine(w.home, "Sorry, this address is not set up. (#5.3.5)")
			}
			b.WriteString("|" + program + "\n")
		case migrate.Box:
			b.WriteString(line + "\n")
		case migrate.Run:
			b.WriteString("|" + line + "\n")
		case migrate.Hand:
			b.WriteString("+lmtp " + line + "\n")
		case migrate.Refuse:
			b.WriteString("|" + migrate.RefuseLine(w.home, line) + "\n")
		case migrate.Throw:
			b.WriteString("# thrown away\n")
		}
	}
	return b.String()
}
