package showctl

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"postrider/internal/accounts"
	"postrider/internal/address"
	"postrider/internal/aliases"
	"postrider/internal/control"
	"postrider/internal/idn"
	"postrider/internal/rcpthosts"
	"postrider/internal/route"
)

// domains of a file, with the lines that have them.
type domains struct {
	lines   []control.Line
	present bool
}

func (i *inspector) domainsOf(name string) domains {
	lines, present, err := i.dir.Lines(name)
	if err != nil {
		return domains{} // told already
	}
	return domains{lines, present}
}

// routing finds domains about which the files contradict each other. It asks the
// readers of qmail-smtpd and qmail-send what becomes of each.
func (i *inspector) routing() {
	table, err := route.Read(i.dir)
	if err != nil {
		i.blame(err, "", "Write the name of this host into control/me, or its domains into control/locals.")
		return
	}
	hosts, err := rcpthosts.Load(i.dir)
	if err != nil {
		return // qmail-smtpd says so
	}
	if me, err := i.dir.Line("me", ""); err == nil && me == "" {
		i.errorIn("me", 0, "this host has no name", "Write it into the file: hostname -f > "+i.path("me")+". Nothing takes mail without it.")
	}
	i.taken(hosts, "locals", func(line string) string { return line })
	i.taken(hosts, "virtualdomains", func(line string) string {
		key, value, found := strings.Cut(line, ":")
		if at := strings.LastIndexByte(key, '@'); at >= 0 {
			key = key[at+1:]
		}
		if !found || value == "" {
			return ""
		}
		return key
	})
	i.both()
	i.virtualUsers()
	i.somewhere(table)
}

// taken warns of domains that are this host's, and whose mail is refused.
func (i *inspector) taken(hosts *rcpthosts.Hosts, file string, domain func(string) string) {
	if !i.domainsOf("rcpthosts").present {
		return
	}
	for _, line := range i.domainsOf(file).lines {
		name := domain(line.Text)
		if name == "" || strings.ContainsAny(name, " :@\r") {
			continue
		}
		if strings.HasPrefix(name, ".") {
			name = "any" + name
		}
		if to, err := address.New("postmaster@" + name); err != nil {
			continue
		} else if takes, err := hosts.Takes(to); err == nil && !takes && !isOnlyHere(name) {
			i.warn(file, line.Number, name+" is not in rcpthosts: mail for it is taken from this host alone, and from clients that may relay",
				"Write it into "+i.path("rcpthosts")+" if other hosts send mail to it.")
		}
	}
}

// isOnlyHere tells names that no other host uses.
func isOnlyHere(name string) bool {
	return strings.EqualFold(name, "localhost") || strings.HasSuffix(strings.ToLower(name), ".localhost") || strings.HasPrefix(strings.ToLower(name), "localhost.")
}

// both finds domains that are local and virtual: locals comes first.
func (i *inspector) both() {
	local := make(map[string]int)
	for _, line := range i.domainsOf("locals").lines {
		local[idn.Key(line.Text)] = line.Number
	}
	for _, line := range i.domainsOf("virtualdomains").lines {
		key, _, found := strings.Cut(line.Text, ":")
		if number := local[idn.Key(key)]; found && number > 0 {
			i.errorIn("virtualdomains", line.Number, fmt.Sprintf("%s is in line %d of locals, which counts: its mail goes to users of this host", key, number),
				"Take it out of one of the two files.")
		}
	}
}

// somewhere finds domains that are taken from everybody and belong to nobody here:
// their mail goes out again.
func (i *inspector) somewhere(table *route.Table) {
	if !i.domainsOf("rcpthosts").present {
		return
	}
	routed := make(map[string]bool)
	for _, file := range []string{"smtproutes", "lmtproutes", "qmtproutes"} {
		for _, line := range i.domainsOf(file).lines {
			key, _, _ := strings.Cut(line.Text, ":")
			routed[idn.Key(key)] = true
		}
	}
	for _, line := range i.domainsOf("rcpthosts").lines {
		if strings.ContainsAny(line.Text, " \r@:") || isRouted(routed, idn.Key(line.Text)) {
			continue
		}
		name := strings.TrimPrefix(line.Text, ".")
		if channel, _ := table.Of("postmaster@" + name); channel == route.Remote && name == line.Text {
			i.warn("rcpthosts", line.Number, name+" is neither in locals nor in virtualdomains, and has no route: its mail goes on to its mail exchanger",
				"If this is its mailbox host, write it into one of these files; for a backup, give it a route in smtproutes.")
		}
	}
}

// isRouted reports whether a domain has a route of its own.
func isRouted(routed map[string]bool, domain string) bool {
	for at := range len(domain) {
		if (at == 0 || domain[at] == '.') && routed[domain[at:]] {
			return true
		}
	}
	return false
}

// virtualUsers finds virtual domains whose mail ends with the user alias, who has
// no file for it. Where accounts come from elsewhere, too, nobody can tell.
func (i *inspector) virtualUsers() {
	nss, err := accounts.ReadNSS(i.dir)
	tables, tablesErr := aliases.Names(i.dir)
	if err != nil || tablesErr != nil || nss.Asked || len(tables) > 0 {
		return
	}
	resolver, _, err := i.in.Recipients()
	if err != nil {
		return // told elsewhere
	}
	for _, line := range firstLines(i.domainsOf("virtualdomains")) {
		domain, user, found := strings.Cut(line.Text, ":")
		if !found || user == "" || strings.TrimSpace(user) != user {
			continue
		}
		to, err := resolver.Resolve(user + "-postmaster")
		if err != nil || to.User != accounts.AliasUser || !i.hasNone(to.Home, to.Ext) {
			continue
		}
		i.warn("virtualdomains", line.Number, fmt.Sprintf("mail for %s is nobody's: there is no user %s, and no .qmail-%s-default of the user alias", domain, user, user),
			"Write the name of a user behind the colon, or make such a file in "+to.Home+".")
	}
}

// hasNone reports whether a home has no .qmail file that an extension could lead to.
func (i *inspector) hasNone(home, ext string) bool {
	entries, err := os.ReadDir(home)
	if err != nil {
		return false // nobody knows
	}
	part, _, _ := strings.Cut(strings.ReplaceAll(strings.ToLower(ext), ".", ":"), "-")
	return !slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return e.Name() == ".qmail-default" || strings.HasPrefix(e.Name(), ".qmail-"+part+"-")
	})
}
