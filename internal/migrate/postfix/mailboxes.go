package postfix

import (
	"path"
	"strconv"
	"strings"

	"postrider/internal/migrate"
)

// mailbox is the end of an address of a virtual mailbox domain.
func (c *config) mailbox(address string) string {
	e, found, err := c.findRecipient("virtual_mailbox_maps", address)
	switch {
	case err != nil:
		return trouble(err)
	case !found && c.main.get("virtual_mailbox_maps") != "":
		return migrate.Refused
	}
	h := cutHop(c.main.get("virtual_transport"))
	switch c.speaks(h.transport) {
	case byVirtual:
		return migrate.ToBox(c.box(e.value))
	case byLMTP:
		if server, ok := c.lmtpServer(h.nexthop); ok {
			return migrate.ToLMTP(server + " " + address)
		}
	}
	return c.handOver(h, address)
}

// box is the path of a virtual mailbox: a Maildir has a slash at its end.
func (c *config) box(value string) string {
	name := path.Join("/", c.main.get("virtual_mailbox_base"), value)
	if strings.HasSuffix(value, "/") {
		name += "/"
	}
	return name
}

// owner is who has the virtual mailboxes, if that is one account for all.
func (c *config) owner() (*migrate.Owner, bool) {
	uid, ok := static(c.main.get("virtual_uid_maps"))
	gid, ok2 := static(c.main.get("virtual_gid_maps"))
	if !ok || !ok2 {
		return nil, false
	}
	o := &migrate.Owner{Name: "vmail", UID: uid, GID: gid}
	for _, a := range c.users {
		if a.UID == uid && (o.Name == "vmail" || a.Name < o.Name) {
			o.Name = a.Name
		}
	}
	return o, uid != 0
}

func static(value string) (id uint32, ok bool) {
	text, found := strings.CutPrefix(value, "static:")
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 32)
	return uint32(n), found && err == nil
}

// mailboxDomains adds the domains whose mailboxes are in tables.
func (r *reader) mailboxDomains() {
	names := r.domains("virtual_mailbox_domains")
	if len(names) == 0 {
		return
	}
	h := cutHop(r.main.get("virtual_transport"))
	where := r.main.where("virtual_transport")
	var target func(address, value string) migrate.Target
	var owner *migrate.Owner
	switch r.speaks(h.transport) {
	case byVirtual:
		o, known := r.owner()
		if !known {
			r.site.Remark(migrate.Lost, r.main.where("virtual_uid_maps"), "virtual_uid_maps", "mailboxes of several users: only static:UID is carried over; give each domain its own user in users/assign")
			return
		}
		if _, there := r.users[o.Name]; !there {
			r.site.Remark(migrate.Step, r.main.where("virtual_uid_maps"), "virtual_uid_maps", "no account has the uid %d: make one called %s before mail is delivered", o.UID, o.Name)
		}
		owner = o
		target = func(_, value string) migrate.Target { return migrate.Target{Kind: migrate.Box, Text: r.box(value)} }
	case byLMTP:
		server, ok := r.lmtpServer(h.nexthop)
		if !ok {
			r.site.Remark(migrate.Lost, where, "virtual_transport = "+r.main.get("virtual_transport"), "the domains %s are not carried over: the delivery server has a name, and an instruction +lmtp takes an address or a socket", short(strings.Join(names, ", ")))
			return
		}
		r.site.Remark(migrate.Step, where, "virtual_transport = "+r.main.get("virtual_transport"), "the user alias has to be able to connect to %s, mode 0666 in Dovecot; a socket below the queue directory of Postfix is to be moved", server)
		target = func(address, _ string) migrate.Target {
			return migrate.Target{Kind: migrate.Hand, Text: server + " " + address}
		}
	default:
		r.site.Remark(migrate.Lost, where, "virtual_transport = "+r.main.get("virtual_transport"), "the domains %s are not carried over: a program delivers them; give each a user, and his .qmail-default the program", short(strings.Join(names, ", ")))
		return
	}
	for _, name := range names {
		r.boxes[name] = &migrate.Domain{Name: name, Addresses: map[string][]migrate.Target{}, Owner: owner}
		r.site.Domain(name)
		r.site.Add("rcpthosts", name)
		r.probe("no-such-user-here@" + name)
	}
	r.mailboxes(names, target)
}

// mailboxes adds the addresses of the tables, or, where there are none, all.
func (r *reader) mailboxes(names []string, target func(address, value string) migrate.Target) {
	if r.main.get("virtual_mailbox_maps") == "" {
		for _, name := range names {
			t := target("$DEFAULT@$HOST", "")
			r.boxes[name].Default = []migrate.Target{t}
			r.probe("anybody@" + name)
		}
		return
	}
	for _, t := range r.maps("virtual_mailbox_maps") {
		if !r.readable(t, "virtual_mailbox_maps") {
			continue
		}
		for _, e := range t.entries {
			local, domain := migrate.Split(e.key)
			d := r.boxes[domain]
			switch {
			case d == nil || local == "" && domain == "":
				r.site.Remark(migrate.Lost, e.where, e.key, "this is no address of virtual_mailbox_domains")
			case local == "" && strings.HasPrefix(e.key, "@"):
				if d.Default == nil {
					d.Default = []migrate.Target{target("$DEFAULT@$HOST", e.value)}
				}
				r.probe("anybody@" + domain)
			case d.Addresses[local] == nil:
				d.Addresses[local] = []migrate.Target{target(e.key, e.value)}
				r.probe(e.key)
			}
		}
	}
}
