package migrate

import (
	"fmt"
	"slices"
	"strings"
)

// In qmail's way a domain is either local, and its local parts are users and
// aliases, or virtual, and they are what a table says. Other systems have domains
// that are both: those become virtual ones whose other addresses go on to a local
// domain that nothing is said about.

// Host makes a domain local.
func (s *Site) Host(name string) {
	s.Hosted = append(s.Hosted, name)
	s.Add("locals", name)
	s.Add("rcpthosts", name)
	s.Probes = append(s.Probes, "postmaster@"+name, "no-such-user-here@"+name)
}

// Neutral is a local domain whose addresses are users and aliases and nothing more.
// It is made if there is none.
func (s *Site) Neutral() string {
	for _, name := range s.Hosted {
		if s.Domains[name] == nil && name != "" {
			return name
		}
	}
	name := "users." + s.Control["me"][0]
	s.Add("locals", name)
	return name
}

// FallThrough makes virtual domains of the local ones that have addresses in
// tables.
func (s *Site) FallThrough() {
	for _, name := range s.Hosted {
		d := s.Domains[name]
		if d == nil {
			continue
		}
		d.Single = false
		s.Control["locals"] = slices.DeleteFunc(s.Control["locals"], func(l string) bool { return l == name })
		if d.Default != nil {
			continue
		}
		d.Default = []Target{{Rest, s.Neutral()}}
		s.Remark(Decided, Where{}, name, "it has users and addresses in tables: it is a virtual domain whose other addresses go on to %s; qmail-smtpd therefore takes mail for any of them, and who is not there is bounced", s.Neutral())
	}
}

// maxExtensionProbes is for how many addresses of a domain it is asked what an
// extension does: it is the same for all.
const maxExtensionProbes = 20

// Extend gives addresses and people the mail for name+anything, where the bytes of
// delimiters may be in the place of the plus. With goesOn, an address that leads to
// another one leads to that with the same extension.
func (s *Site) Extend(delimiters string, people []Account, goesOn bool, where Where) {
	for _, d := range s.SortedDomains() {
		s.extendDomain(d, delimiters, goesOn)
	}
	if len(s.Control["aliases"])+len(s.Names) > 0 {
		s.Remark(Lost, where, "alias"+delimiters[:1]+"extension", "a name in a table of aliases has no extensions: name%sanything is nobody where name is an alias", delimiters[:1])
	}
	if len(s.Hosted) == 0 {
		return
	}
	var lines strings.Builder
	for _, a := range people {
		for _, c := range delimiters {
			fmt.Fprintf(&lines, "+%s%c:%s:%d:%d:%s:::\n", a.Name, c, a.Name, a.UID, a.GID, a.Home)
		}
		s.Probes = append(s.Probes, a.Name+delimiters[:1]+"anything@"+s.Hosted[0])
	}
	if lines.Len() > 0 {
		s.Files["users/assign"] = File{Text: lines.String() + ".\n", Mode: 0o644, From: where}
		s.Remark(Decided, where, "name"+delimiters[:1]+"extension", "users/assign gives each user of now the mail for his name with an extension; a user who comes later has it by a .qmail-default of his own, or a line there")
	}
}

func (s *Site) extendDomain(d *Domain, delimiters string, goesOn bool) {
	if d.Single {
		return // an address of another host's domain is one line of virtualdomains
	}
	first := delimiters[:1]
	more := map[string][]Target{}
	for local, targets := range d.Addresses {
		if strings.ContainsAny(local, delimiters) {
			continue
		}
		kept := slices.Clone(targets)
		for i, t := range kept {
			switch server, _, _ := strings.Cut(t.Text, " "); {
			case t.Kind == Hand:
				kept[i].Text = server + " " + local + first + "$DEFAULT@" + d.Name
			case t.Kind == Forward && goesOn:
				to, domain := Split(t.Text)
				rest := Target{Rest, to + first + "@" + domain}
				if _, ok := RestLine("", rest.Text); ok && domain != "" {
					kept[i] = rest
				}
			}
		}
		more[local+first+"default"] = kept
		if len(more) <= maxExtensionProbes {
			s.Probes = append(s.Probes, local+first+"anything@"+d.Name)
		}
	}
	for local, targets := range more {
		if d.Addresses[local] == nil {
			d.Addresses[local] = targets
		}
	}
}
