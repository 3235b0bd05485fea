package qmail

import (
	"strings"

	"postrider/internal/migrate"
)

// file is a control file as it was read.
type file struct {
	name, text string
	mode       uint32
	where      migrate.Where
}

// lines are those that count, with their numbers.
func (f file) lines(each func(number int, line string)) {
	number := 0
	for line := range strings.Lines(f.text) {
		number++
		if line = strings.TrimRight(line, " \t\n"); line != "" && line[0] != '#' {
			each(number, line)
		}
	}
}

// first is the first line.
func (f file) first() string {
	line, _, _ := strings.Cut(f.text, "\n")
	return strings.TrimRight(line, " \t")
}

// same copies a file.
func same(r *reader, f file) {
	if i := strings.IndexByte(f.text, 0); i >= 0 && !strings.HasSuffix(f.name, ".cdb") {
		r.site.Remark(migrate.Lost, f.where, "control/"+f.name, "it has a zero byte, with which this suite does not read it")
	}
	if strings.Contains(f.text, "\r\n") {
		r.site.Remark(migrate.Lost, f.where, "control/"+f.name, "its lines end in CR, which is a part of each value, here as with qmail: take them out, and compare again")
	}
	r.keep("control/"+f.name, f.text, f.mode)
}

// as copies the first line under another name.
func as(name string) func(r *reader, f file) {
	return func(r *reader, f file) { r.site.Set(name, f.first()) }
}

// added adds the lines of a list to those that other files have.
func added(r *reader, f file) {
	f.lines(func(_ int, line string) { r.site.Add(f.name, line) })
}

// deliveryOf takes the argument of qmail-start.
func deliveryOf(r *reader, f file) {
	r.site.Delivery = strings.TrimRight(f.text, "\n")
	r.keep("control/"+f.name, f.text, f.mode)
}

// blacklists are the arguments of rblsmtpd: -r zone, -a zone, zone:text.
func blacklists(r *reader, f file) {
	words := strings.Fields(f.text)
	for i := 0; i < len(words); i++ {
		kind, zone := "-", ""
		switch option := words[i]; {
		case option == "-r" || option == "-a":
			if i++; i == len(words) {
				return
			}
			zone = words[i]
			if option == "-a" {
				kind = "+"
			}
		case strings.HasPrefix(option, "-r") || strings.HasPrefix(option, "-a"):
			zone = option[2:]
			if option[1] == 'a' {
				kind = "+"
			}
		default:
			continue // -b, -C, -t and others have no zone
		}
		zone, _, _ = strings.Cut(strings.Trim(zone, `'"`), ":")
		if zone != "" {
			r.site.Add("dnsbllist", kind+zone)
		}
	}
}

// patterns copies the lines of a list that stand for themselves. Those that are
// regular expressions, or in the forms of other patches, are remarks.
func patterns(name string) func(r *reader, f file) {
	return func(r *reader, f file) {
		if r.site.Control[name] == nil {
			r.site.Control[name] = []string{}
		}
		f.lines(func(number int, line string) {
			where := migrate.Where{File: f.where.File, Line: number}
			plain := line
			if name == "badhelo" {
				plain = "@" + line
			}
			local, domain, found := strings.Cut(plain, "@")
			switch {
			case strings.ContainsAny(line, `*^$()[]|\+?{}!%`) && !strings.Contains(local, "+") || strings.ContainsAny(domain, "+"):
				r.site.Remark(migrate.Lost, where, line, "patterns are not understood: name the addresses, @domains or hosts that are meant")
			case !found || domain == "" || strings.HasPrefix(domain, "."):
				r.site.Remark(migrate.Lost, where, line, "control/%s takes whole addresses and @domain; a domain's subdomains are lines of their own", name)
			default:
				r.site.Add(name, line)
			}
		})
	}
}
