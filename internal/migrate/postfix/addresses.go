package postfix

import (
	"slices"
	"strings"

	"postrider/internal/migrate"
)

// virtual adds the addresses of virtual_alias_maps and of the canonical maps.
func (r *reader) virtual() {
	for _, parameter := range []string{"virtual_alias_maps", "recipient_canonical_maps", "canonical_maps"} {
		for _, t := range r.maps(parameter) {
			if !r.readable(t, parameter) {
				continue
			}
			for _, e := range t.entries {
				r.address(e, parameter)
			}
		}
	}
	r.mergeBoxes()
	r.site.FallThrough()
	if to := r.main.get("luser_relay"); to != "" {
		r.site.Files["alias/.qmail-default"] = migrate.File{Text: "&" + r.qualified(to) + "\n", Mode: 0o644}
	}
}

// address adds one entry.
func (r *reader) address(e entry, parameter string) {
	local, domain := migrate.Split(e.key)
	if !strings.Contains(e.key, "@") {
		r.name(e)
		return
	}
	is, err := r.class(domain)
	if err != nil {
		r.site.Remark(migrate.Lost, e.where, e.key, "%v", err)
		return
	}
	if parameter != "virtual_alias_maps" && is == elsewhere {
		return // said once for the parameter
	}
	targets := r.targetsOf(e)
	if targets == nil {
		return
	}
	d := r.site.Domain(domain)
	if local == "" {
		if d.Default == nil {
			d.Default, d.Single = targets, false
		}
		r.probe("anybody@" + domain)
		return
	}
	if d.Default == nil && !d.Single && (is == elsewhere || is == relayed) {
		d.Single = true
		r.site.Remark(migrate.Decided, e.where, e.key, "the domain is another host's: its other addresses go there as before, this one with an extension among them")
	}
	if d.Addresses[local] == nil {
		d.Addresses[local] = targets
		r.probe(e.key)
	}
}

// targetsOf reads what an address leads to. Several words may be in a line that
// only marks a domain.
func (r *reader) targetsOf(e entry) []migrate.Target {
	to, err := addresses(e.value)
	if err != nil || len(to) == 0 {
		r.site.Remark(migrate.Lost, e.where, e.key+" "+short(e.value), "no addresses that are understood: separate them by commas")
		return nil
	}
	var targets []migrate.Target
	for _, t := range to {
		if domain, rest := strings.CutPrefix(t, "@"); rest {
			targets = append(targets, migrate.Target{Kind: migrate.Rest, Text: domain})
			continue
		}
		if t = r.qualified(t); migrate.Lower(t) == e.key {
			targets = append(targets, r.itself(e, t)...)
			continue
		}
		targets = append(targets, migrate.Target{Kind: migrate.Forward, Text: t})
	}
	return targets
}

// itself is what an address leads to that leads to itself: the user or the
// mailbox of that name, or the next host.
func (r *reader) itself(e entry, address string) []migrate.Target {
	local, domain := migrate.Split(migrate.Lower(address))
	if slices.Contains(r.site.Hosted, domain) {
		return []migrate.Target{{Kind: migrate.Forward, Text: local + "@" + r.site.Neutral()}}
	}
	if boxes := r.boxes[domain]; boxes != nil {
		if to := boxes.Addresses[local]; to != nil {
			return to
		}
		return boxes.Default
	}
	r.site.Remark(migrate.Lost, e.where, e.key, "it leads to itself: give the mailbox or the next host another name for it")
	return nil
}

// mergeBoxes adds the mailboxes of a domain to what the tables of aliases say of
// it. Those come first: one for the whole domain leaves no mailbox but those that
// it names.
func (r *reader) mergeBoxes() {
	for name, boxes := range r.boxes {
		d := r.site.Domain(name)
		d.Owner, d.Single = boxes.Owner, false
		if d.Default != nil {
			continue
		}
		d.Default = boxes.Default
		for local, to := range boxes.Addresses {
			if d.Addresses[local] == nil {
				d.Addresses[local] = to
			}
		}
	}
}

// name adds a name without a domain: it leads elsewhere in every local domain.
func (r *reader) name(e entry) {
	if strings.Contains(e.key, ".") {
		if marks, err := r.matchesDomain("virtual_alias_domains", e.key); marks && err == nil {
			return // it says that the domain is one of this table
		}
	}
	targets := r.targetsOf(e)
	if targets == nil || r.site.Names[e.key] != nil {
		return
	}
	r.site.Names[e.key] = targets
	if len(r.site.Hosted) > 0 {
		r.probe(e.key + "@" + r.site.Hosted[0])
	}
}

// routes are the relays, by recipient and by sender.
func (r *reader) routes() {
	for _, t := range r.maps("transport_maps") {
		if !r.readable(t, "transport_maps") {
			continue
		}
		for _, e := range t.entries {
			r.routeOf(e)
		}
	}
	rest, found, _ := r.find("transport_maps", "*", false) // a table that is not read is a remark
	if out := r.outward(); found && cutHop(rest.value) != (hop{}) {
		if out.nexthop != "" {
			r.site.Remark(migrate.Decided, r.main.where("relayhost"), "relayhost", "transport_maps has an entry for all domains, which counts")
		}
	} else if out.nexthop != "" {
		r.addRoute("", out, r.main.where("relayhost"), "relayhost")
	} else if r.speaks(out.transport) != bySMTP {
		r.site.Remark(migrate.Lost, r.main.where("default_transport"), "default_transport = "+out.transport, "mail for others goes by SMTP, LMTP or QMTP")
	}
	for _, t := range r.maps("sender_dependent_relayhost_maps") {
		if r.readable(t, "sender_dependent_relayhost_maps") {
			for _, e := range t.entries {
				r.site.Add("authsenders", e.key+":"+r.relay(e.value, "smtp"))
			}
		}
	}
}

// routeOf is a line of transport_maps.
func (r *reader) routeOf(e entry) {
	h := cutHop(e.value)
	key := e.key
	if key == "*" {
		key = ""
	}
	switch {
	case strings.Contains(key, "@"):
		r.site.Remark(migrate.Lost, e.where, e.key+" "+e.value, "routes go by domains: forward the address to one at a host with a route")
	case r.site.Domains[key] != nil, slices.Contains(r.site.Hosted, key):
		if h.transport != byLocal && h.transport != byVirtual && h.transport != "" {
			r.site.Remark(migrate.Lost, e.where, e.key+" "+e.value, "the domain's addresses are in tables here: put what delivers into its .qmail files")
		}
	default:
		if h == (hop{}) { // as if there were no transport_maps
			h = r.outward()
		}
		r.addRoute(key, h, e.where, e.key+" "+e.value)
		if strings.HasPrefix(key, ".") {
			key = "mail" + key
		}
		if key != "" {
			r.probe("somebody@" + key)
		}
	}
}

// addRoute adds a line to the file of routes that speaks as a transport does.
func (r *reader) addRoute(key string, h hop, where migrate.Where, what string) {
	file, protocol := "smtproutes", "smtp"
	switch r.speaks(h.transport) {
	case bySMTP, "":
	case byLMTP:
		file, protocol = "lmtproutes", "lmtp"
	case byError, byDiscard:
		r.noRoute(key, h, where, what)
		return
	default:
		r.site.Remark(migrate.Lost, where, what, "mail for others goes by SMTP, LMTP or QMTP, not by %s", h.transport)
		return
	}
	if strings.HasPrefix(h.nexthop, "unix:") {
		r.site.Remark(migrate.Lost, where, what, "a socket is for local delivery: +lmtp in the .qmail-default of a virtual domain")
		return
	}
	relay := strings.TrimPrefix(r.relay(strings.TrimPrefix(h.nexthop, "inet:"), protocol), "lmtp:")
	r.site.Add(file, key+":"+relay)
	if h.nexthop != "" && !strings.HasPrefix(h.nexthop, "[") && strings.Trim(relay, "0123456789.:") != "" {
		r.site.Remark(migrate.Decided, where, what, "Postfix asks for the mail exchangers of %s; here the host of that name is asked itself: name the exchanger if it is another", relay)
	}
}

// noRoute is a domain to which no mail goes.
func (r *reader) noRoute(key string, h hop, where migrate.Where, what string) {
	if key == "" || key[0] == '.' {
		r.site.Remark(migrate.Lost, where, what, "mail is refused, or thrown away, for whole domains by name: name them")
		return
	}
	t := migrate.Target{Kind: migrate.Refuse, Text: strings.TrimLeft(h.nexthop, "0123456789. ")}
	if r.speaks(h.transport) == byDiscard {
		t = migrate.Target{Kind: migrate.Throw}
	}
	r.site.Domain(key).Default = []migrate.Target{t}
	r.site.Remark(migrate.Carried, where, what, "control/virtualdomains: no mail goes there, from here either")
}

// logins are those at relays.
func logins(r *reader, s setting, _ string) {
	for _, t := range r.maps(s.name) {
		if !r.readable(t, s.name) {
			continue
		}
		for _, e := range t.entries {
			user, password, found := strings.Cut(e.value, ":")
			switch {
			case strings.Contains(e.key, "@"):
				r.site.Remark(migrate.Lost, e.where, e.key, "a login by sender is behind its route: control/authsenders, sender:relay|user|password")
			case !found || strings.ContainsAny(user+password, "|\n"):
				r.site.Remark(migrate.Lost, e.where, e.key, "no user and password, or one with a bar in it")
			default:
				r.site.Secret["remoteauth"] = true
				r.site.Add("remoteauth", strings.TrimPrefix(r.relay(e.key, "smtp"), "smtp:")+"|"+user+"|"+password)
			}
		}
	}
}
