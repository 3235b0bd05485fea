package sendmail

import (
	"path"
	"strings"

	"postrider/internal/migrate"
)

// virtusers adds the addresses of virtusertable.
func (r *reader) virtusers() {
	for _, e := range r.vusers.entries {
		local, domain := migrate.Split(e.key)
		lose := func(why string) { r.site.Remark(migrate.Lost, e.where, e.key+" "+e.value, "%s", why) }
		switch {
		case !strings.Contains(e.key, "@"):
			lose("this is no address: user@domain or @domain")
			continue
		case !r.local[domain] && !r.virtual[domain]:
			lose("the domain is neither in local-host-names nor in VIRTUSER_DOMAIN: Sendmail does not look it up")
			continue
		case strings.HasSuffix(local, "+*"):
			lose("an address with any extension: a .qmail file whose name ends in +default")
			continue
		}
		target, why := r.target(e.value)
		if why != "" {
			lose(why)
			continue
		}
		d := r.site.Domain(domain)
		if local == "" {
			d.Default = []migrate.Target{target}
			r.site.Probes = append(r.site.Probes, "anybody@"+domain)
			continue
		}
		d.Addresses[local] = []migrate.Target{target}
		r.site.Probes = append(r.site.Probes, e.key)
	}
	for _, name := range sorted(r.virtual) {
		if !r.local[name] {
			r.site.Domain(name)
			r.site.Probes = append(r.site.Probes, "no-such-user-here@"+name)
		}
	}
	for _, d := range r.site.Domains {
		for _, list := range append(valuesOf(d.Addresses), d.Default) {
			for i, t := range list {
				if t.Kind == migrate.Rest && t.Text == "" || t.Kind == migrate.Forward && !strings.Contains(t.Text, "@") {
					list[i] = r.toUser(t)
				}
			}
		}
	}
	r.site.FallThrough()
	r.site.Extend("+", r.people, false, migrate.Where{File: path.Join(r.dir, "virtusertable")})
}

func valuesOf(m map[string][]migrate.Target) (all [][]migrate.Target) {
	for _, v := range m {
		all = append(all, v)
	}
	return all
}

// toUser gives a local name a domain in which it means the user.
func (r *reader) toUser(t migrate.Target) migrate.Target {
	if t.Kind == migrate.Rest {
		return migrate.Target{Kind: migrate.Rest, Text: r.site.Neutral()}
	}
	return migrate.Target{Kind: migrate.Forward, Text: t.Text + "@" + r.site.Neutral()}
}

// target reads the right-hand side: user, address, %1@domain, error:nouser text.
func (r *reader) target(value string) (t migrate.Target, why string) {
	fields := strings.Fields(value)
	switch {
	case len(fields) == 0:
		return t, "it leads nowhere"
	case strings.HasPrefix(fields[0], "error:"):
		text := strings.Join(fields[1:], " ")
		if text == "" {
			text = "Sorry, no mailbox here by that name. (#5.1.1)"
		}
		return migrate.Target{Kind: migrate.Refuse, Text: text}, ""
	}
	to := fields[0]
	if domain, found := strings.CutPrefix(to, "%1@"); found && !strings.Contains(domain, "%") {
		return migrate.Target{Kind: migrate.Rest, Text: domain}, ""
	}
	switch {
	case to == "%1":
		return migrate.Target{Kind: migrate.Rest}, ""
	case strings.Contains(to, "%") || len(fields) > 1:
		return t, "only %1@domain and plain addresses are understood"
	}
	return migrate.Target{Kind: migrate.Forward, Text: to}, ""
}

// hop is what mailertable says: a mailer and where it goes.
type hop struct{ mailer, to string }

func cutHop(value string) hop {
	mailer, to, _ := strings.Cut(value, ":")
	return hop{migrate.Lower(strings.TrimSpace(mailer)), strings.TrimSpace(to)}
}

// bySMTP are the mailers that speak SMTP.
var bySMTP = map[string]bool{"smtp": true, "esmtp": true, "relay": true, "smtp8": true, "dsmtp": true}

// mailertable adds routes.
func (r *reader) mailertable() {
	for _, e := range r.mailers.entries {
		key := e.key
		if key == "." {
			key = ""
		}
		h := cutHop(e.value)
		r.site.Probes = append(r.site.Probes, "somebody@"+below(key))
		switch {
		case bySMTP[h.mailer]:
			r.route(key, h.to, e)
		case h.mailer == "local" && !strings.HasPrefix(key, "."):
			d := r.site.Domain(key)
			if h.to == "" {
				d.Default = []migrate.Target{{Kind: migrate.Rest, Text: r.site.Neutral()}}
			} else {
				d.Default = []migrate.Target{{Kind: migrate.Forward, Text: h.to + "@" + r.site.Neutral()}}
			}
		case (h.mailer == "error" || h.mailer == "discard") && key != "" && !strings.HasPrefix(key, "."):
			kind := migrate.Refuse
			if h.mailer == "discard" {
				kind = migrate.Throw
			}
			r.site.Domain(key).Default = []migrate.Target{{Kind: kind, Text: strings.TrimSpace(strings.TrimLeft(h.to, "0123456789.: "))}}
		default:
			r.site.Remark(migrate.Lost, e.where, e.key+" "+e.value, "mail for others goes by SMTP; a program is a line in the .qmail-default of a virtual domain")
		}
	}
	if r.smart != "" {
		if _, set := r.mailers.find("."); !set {
			r.route("", smartHop(r.smart), entry{key: "SMART_HOST", value: r.smart, where: migrate.Where{File: r.file}})
		}
	}
}

// below is a domain that a key of mailertable means.
func below(key string) string {
	switch {
	case key == "":
		return "elsewhere.invalid"
	case key[0] == '.':
		return "sub" + key
	}
	return key
}

// relayOf is a next hop as routes have it.
func relayOf(to string) string {
	to, _ = firstHop(to)
	return migrate.Relay("smtp", strings.Trim(to, "[]"))
}

// smartHop is SMART_HOST, mailer:host or host, without the mailer.
func smartHop(smart string) string {
	if _, host, found := strings.Cut(smart, ":"); found && smart[0] != '[' {
		return host
	}
	return smart
}

// firstHop cuts hosts apart, which have colons between them. Further ones are asked
// if the first does not answer. An IPv6 address is in brackets.
func firstHop(to string) (first string, more bool) {
	if literal, rest, closed := strings.Cut(to, "]"); closed && to[0] == '[' {
		return literal + "]", rest != ""
	}
	first, _, more = strings.Cut(to, ":")
	return first, more
}

func (r *reader) route(key, to string, e entry) {
	if _, more := firstHop(to); more {
		r.site.Remark(migrate.Lost, e.where, e.key+" "+e.value, "a route has one host: the first one counts; give it several addresses in the DNS")
	}
	relay := relayOf(to)
	r.site.Add("smtproutes", key+":"+relay)
	if !strings.HasPrefix(to, "[") && strings.Trim(relay, "0123456789.") != "" {
		r.site.Remark(migrate.Decided, e.where, e.key+" "+e.value, "Sendmail asks for the mail exchangers of %s; here the host of that name is asked itself: name the exchanger if it is another", relay)
	}
}
