package postfix

import (
	"net/netip"
	"slices"
	"strings"

	"postrider/internal/migrate"
	"postrider/internal/networks"
)

// relayClients are the networks that may relay.
func (r *reader) relayClients() {
	if !r.main.isSet("mynetworks") {
		r.site.Remark(migrate.Decided, migrate.Where{File: r.main.file}, "mynetworks", "it is not set: only this host may relay; add its networks to control/tcp.smtp if others are to")
		r.rules = append(r.rules, `127.0.0.0/8:allow,RELAYCLIENT=""`, `::1:allow,RELAYCLIENT=""`)
		r.exemptions()
		return
	}
	var before networks.List
	err := r.networks("mynetworks", func(i item, n string) {
		list, _ := networks.Parse([]string{n}) // none of an IPv4 address in IPv6, which no client has
		r.relayClient(i, n, slices.ContainsFunc(list, func(p netip.Prefix) bool { return isWithin(p, before) }))
		before = append(before, list...)
	}, func(i item, why string) { r.site.Remark(migrate.Lost, i.where, "mynetworks: "+i.word, "%s", why) })
	if err != nil {
		r.site.Remark(migrate.Lost, r.main.where("mynetworks"), "mynetworks", "%v", err)
	}
	r.exemptions()
}

// relayClient adds the rule of a network. For Postfix the first network of the list
// that has an address counts, and here the smallest: within one that stands in
// front of it, another that may relay is none.
func (r *reader) relayClient(i item, network string, within bool) {
	rule := network + `:allow,RELAYCLIENT=""`
	if i.not {
		rule = network + ":allow"
	}
	switch {
	case slices.Contains(r.rules, rule):
		return
	case within && i.not:
		r.site.Remark(migrate.Decided, i.where, "mynetworks: !"+i.word, "a network in front of it has these addresses: by Postfix they may relay, and here they may not")
	case within:
		r.site.Remark(migrate.Decided, i.where, "mynetworks: "+i.word, "a network in front of it has these addresses: what is said of that counts")
		return
	}
	r.rules = append(r.rules, rule)
}

// isWithin tells whether a network is a part of one in a list.
func isWithin(n netip.Prefix, list networks.List) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Bits() <= n.Bits() && p.Contains(n.Addr()) })
}

// exemptions are rules for clients about which nothing is asked. One that may relay
// needs none: rules do not merge, and the one for fewer addresses counts.
func (r *reader) exemptions() {
	var relaying networks.List
	for _, rule := range r.rules {
		if name, rest, found := strings.Cut(rule, `:allow,RELAY`); found && rest != "" {
			list, _ := networks.Parse([]string{name}) // it was made of a network
			relaying = append(relaying, list...)
		}
	}
	for _, n := range r.exempt {
		list, err := networks.Parse([]string{n})
		if err == nil && relaying.Has(list[0].Addr()) {
			continue
		}
		r.rules = append(r.rules, n+`:allow,DNSBLSKIP="",CHECKRDNS="0",GREYLIST="0",SPFBEHAVIOR="1"`)
	}
}

// ports by the names that services have in master.cf.
var ports = map[string]string{"smtp": "25", "submission": "587", "submissions": "465", "smtps": "465"}

// listeners are the services of master.cf that take mail.
func (r *reader) listeners() {
	r.site.Control["smtplisten"] = []string{}
	if len(r.services) == 0 {
		r.listen(service{name: "smtp", options: map[string]string{}})
	}
	for _, s := range r.services {
		what := s.name + " " + s.kind + " " + s.program
		switch {
		case s.kind == "inet" && (s.program == "smtpd" || s.program == "postscreen"):
			r.listen(s)
			for name, value := range s.options {
				if !slices.Contains(listenOptions, name) {
					r.site.Remark(migrate.Lost, s.where, what+" -o "+name+"="+value, "ports have no settings of their own, but for the words in control/smtplisten")
				}
			}
			if s.program == "postscreen" {
				r.site.Remark(migrate.Decided, s.where, what, "qmail-smtpd takes the connection itself: greetdelay, dnsbllist and rate limits do what postscreen does")
			}
		case s.kind == "inet" && s.program == "qmqpd":
			r.site.Add("qmqplisten", ":628")
			r.site.Remark(migrate.Carried, s.where, what, "control/qmqplisten; control/qmqphosts says who may")
		case s.kind == "inet":
			r.site.Remark(migrate.Lost, s.where, what, "there is no such service")
		case s.program == byPipe:
			r.site.Remark(migrate.Lost, s.where, what+" "+short(strings.Join(s.args, " ")), "a program that delivers is a line in a .qmail file: | and the program; it gets the message on descriptor 0 and SENDER, RECIPIENT, EXT, HOST in its environment")
		case s.program == "spawn":
			r.site.Remark(migrate.Lost, s.where, what, "programs that answer for a socket are started by the init system")
		}
	}
}

// listenOptions are options of a service that its line in smtplisten has, or that
// change nothing.
var listenOptions = []string{
	"smtpd_tls_wrappermode", "smtpd_sasl_auth_enable", "smtpd_client_restrictions", "smtpd_recipient_restrictions",
	"smtpd_relay_restrictions", "smtpd_upstream_proxy_protocol", "postscreen_upstream_proxy_protocol", "syslog_name",
	"smtpd_tls_security_level", "smtpd_tls_auth_only", "smtpd_reject_unlisted_recipient", "milter_macro_daemon_name",
	"smtpd_client_connection_count_limit", "smtpd_client_connection_rate_limit",
}

func (r *reader) listen(s service) {
	host, port := "", s.name
	if at := strings.LastIndexByte(s.name, ':'); at >= 0 {
		host, port = s.name[:at], s.name[at+1:]
	}
	if number := ports[port]; number != "" {
		port = number
	}
	behind := ""
	if s.options["smtpd_tls_wrappermode"] == "yes" {
		behind += " tls"
	}
	proxied := s.options["smtpd_upstream_proxy_protocol"] + s.options["postscreen_upstream_proxy_protocol"] + r.main.get("smtpd_upstream_proxy_protocol")
	if strings.Contains(proxied, "haproxy") {
		behind += " proxy"
		r.site.Remark(migrate.Step, s.where, s.name, "write the addresses of the load balancers into control/proxyhosts")
	}
	if port == "587" || s.options["smtpd_sasl_auth_enable"] == "yes" && port != "25" {
		behind += " submission"
	}
	if host != "" {
		r.site.Add("smtplisten", host+":"+port+behind)
		return
	}
	for _, interfaces := range words(r.main.get("inet_interfaces")) {
		switch interfaces {
		case "all":
			r.site.Add("smtplisten", ":"+port+behind)
		case "loopback-only", "localhost":
			r.site.Add("smtplisten", "127.0.0.1:"+port+behind, "[::1]:"+port+behind)
		default:
			if strings.Contains(interfaces, ":") {
				interfaces = "[" + strings.Trim(interfaces, "[]") + "]"
			}
			r.site.Add("smtplisten", interfaces+":"+port+behind)
		}
	}
}

// destinations are the domains that are local, and those that are relayed.
func (r *reader) destinations() {
	r.site.Control["locals"] = []string{}
	r.site.Control["rcpthosts"] = []string{}
	for _, name := range r.domains("mydestination") {
		if strings.HasPrefix(name, "[") {
			continue // an address of this host is replaced by control/localiphost
		}
		h, err := r.transport("x@" + name)
		if err == nil && h.transport != "" && h.transport != byLocal && h.transport != byVirtual {
			r.site.Add("rcpthosts", name) // transport_maps says where it goes
			r.site.Remark(migrate.Decided, r.main.where("mydestination"), name, "transport_maps sends its mail elsewhere: it is a relayed domain")
			continue
		}
		r.site.Host(name)
	}
	for _, name := range r.domains("relay_domains") {
		r.site.Add("rcpthosts", name)
		r.probe("somebody@" + name)
		if r.matchesParents("relay_domains") && !strings.HasPrefix(name, ".") {
			r.site.Add("rcpthosts", "."+name)
			r.probe("somebody@sub." + name)
		}
	}
	for _, name := range r.domains("virtual_alias_domains") {
		if strings.Contains(name, ".") { // others are names of users in the same table
			r.site.Domain(name)
			r.site.Add("rcpthosts", name)
			r.probe("no-such-user-here@" + name)
			r.probe("postmaster@" + name)
		}
	}
	if len(r.site.Hosted) == 0 {
		return
	}
	r.people = r.site.People(r.tree, r.users)
	for _, a := range r.people {
		r.probe(a.Name + "@" + r.site.Hosted[0])
	}
}

// aliases takes the tables of aliases over, by their names.
func (r *reader) aliases() {
	for _, t := range r.aliasTables() {
		switch {
		case t.err != nil:
			r.site.Remark(migrate.Lost, r.main.where("alias_maps"), "alias_maps", "%v", t.err)
		case t.file != "" && len(t.entries) > 0:
			r.site.Add("aliases", t.file)
			r.site.Remark(migrate.Carried, r.main.where("alias_maps"), t.file, "control/aliases names this table, which stays where it is: run newaliases of this suite")
			if len(r.site.Hosted) == 0 {
				continue
			}
			for name := range t.entries {
				r.probe(name + "@" + r.site.Hosted[0])
			}
		}
	}
}

// delivery is what happens to mail of a user who says nothing himself.
func (r *reader) delivery() {
	command, server := r.main.get("mailbox_command"), cutHop(r.main.get("mailbox_transport"))
	box := r.main.get("home_mailbox")
	switch {
	case server.transport != "" && r.speaks(server.transport) == byLMTP:
		if s, ok := r.lmtpServer(server.nexthop); ok {
			r.site.Set("defaultdelivery", "+lmtp "+s)
			r.site.Remark(migrate.Step, r.main.where("mailbox_transport"), "mailbox_transport", "every user has to be able to connect to %s, mode 0666 in Dovecot", s)
		}
	case command != "":
		r.site.Set("defaultdelivery", "|"+r.main.raw("mailbox_command"))
		r.site.Remark(migrate.Step, r.main.where("mailbox_command"), "mailbox_command", "look at the line in control/defaultdelivery: variables of Postfix in it have other names (EXTENSION is EXT, DOMAIN is HOST); Dovecot is better reached by +lmtp")
	case box != "":
		r.site.Set("defaultdelivery", "./"+strings.TrimPrefix(box, "/"))
	default:
		r.site.Remark(migrate.Step, migrate.Where{File: r.main.file}, "home_mailbox", "it is not set: Postfix delivers to mbox files in /var/mail, qmail-start to ./Mailbox in each home; link or move them, or use Maildirs (./Maildir/)")
	}
	r.site.Delivery = r.site.Control["defaultdelivery"][0]
	delete(r.site.Control, "defaultdelivery") // it is an argument of qmail-start
	r.site.Set("dotforward", "1")
	r.site.Remark(migrate.Step, migrate.Where{}, "qmail-start", "start it with '%s' for users without a .qmail file", r.site.Delivery)
}

// extensions gives users and addresses the mail for name+anything.
func (r *reader) extensions() {
	if breaks := r.site.Control["break"]; len(breaks) > 0 {
		goesOn := slices.Contains(words(r.main.get("propagate_unmatched_extensions")), "virtual")
		r.site.Extend(breaks[0], r.people, goesOn, r.main.where("recipient_delimiter"))
	}
}
