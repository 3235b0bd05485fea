package showctl

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"postrider/internal/control"
	"postrider/internal/dkimsign"
	"postrider/internal/idn"
	"postrider/internal/route"
)

// maxDomains is how many lines of a file name servers are asked about.
const maxDomains = 30

// hosts compares names of hosts with the DNS.
func (i *inspector) hosts() {
	if !i.asked {
		return
	}
	d := &lookups{inspector: i, said: make(map[question]reply)}
	d.want("addresses", d.me())
	d.wantDomains()
	d.wantRelays()
	d.wantKeys()
	if !d.ask() {
		return
	}
	for _, mx := range d.exchangers() {
		d.want("addresses", mx)
	}
	for _, a := range d.values("addresses", d.me()) {
		d.want("names", a)
	}
	if !d.ask() {
		return
	}
	d.judgeMe()
	for _, about := range d.domains {
		d.judgeDomain(about)
	}
	for _, about := range d.relays {
		if d.said[question{"addresses", about.name}].None {
			i.errorIn(about.file, about.line, about.name+" has no address in the DNS: mail by this route waits", "Write the name of a host that there is.")
		}
	}
	for _, about := range d.keys {
		d.judgeKey(about)
	}
}

// mention is a name, and where it stands.
type mention struct {
	name, file string
	line       int
	remote     bool // its mail is not for this host
	rule       dkimsign.Rule
}

// lookups are questions, and what was said.
type lookups struct {
	*inspector
	open                  []question
	said                  map[question]reply
	domains, relays, keys []mention
}

func (d *lookups) me() string {
	me, _ := d.dir.Line("me", "")
	return me
}

func (d *lookups) want(kind, name string) {
	q := question{kind, name}
	if _, known := d.said[q]; name == "" || known || slices.Contains(d.open, q) {
		return
	}
	d.open = append(d.open, q)
}

func (d *lookups) values(kind, name string) []string { return d.said[question{kind, name}].Values }

// ask asks what is open, and reports whether anything was said.
func (d *lookups) ask() bool {
	replies, err := d.look(d.open)
	fault := ""
	if err != nil {
		fault = err.Error()
	}
	answered := len(d.open) == 0
	for n, r := range replies {
		d.said[d.open[n]] = r
		if r.Fault == "" {
			answered = true
		} else {
			fault = r.Fault
		}
	}
	d.open = nil
	if fault != "" {
		d.add(Finding{Level: Unread, What: "name servers do not say all: " + fault, Mend: "See /etc/resolv.conf. Without name servers: --no-dns."})
	}
	return answered
}

// wantDomains asks for the mail exchangers of the domains that are taken.
func (d *lookups) wantDomains() {
	table, err := route.Read(d.dir)
	if err != nil {
		return // told already
	}
	for _, file := range []string{"locals", "virtualdomains", "rcpthosts"} {
		for _, line := range firstLines(d.domainsOf(file)) {
			name, value, isMap := strings.Cut(line.Text, ":")
			if wrong, _ := wrongDomain(name); wrong != "" || strings.HasPrefix(name, ".") || isOnlyHere(name) || !strings.Contains(name, ".") || isMap && value == "" {
				continue
			}
			channel, _ := table.Of("postmaster@" + name)
			if file == "rcpthosts" && channel == route.Local {
				continue // is in one of the others
			}
			d.domains = append(d.domains, mention{name: name, file: file, line: line.Number, remote: channel == route.Remote})
			d.want("mx", name)
		}
	}
}

func firstLines(all domains) []control.Line {
	return all.lines[:min(len(all.lines), maxDomains)]
}

// wantRelays asks for the addresses of hosts that routes lead to.
func (d *lookups) wantRelays() {
	for _, file := range []string{"smtproutes", "lmtproutes", "qmtproutes", "authsenders"} {
		for _, line := range firstLines(d.domainsOf(file)) {
			_, value, _ := strings.Cut(line.Text, ":")
			if name := d.parts.RelayHost(value); name != "" && !isOnlyHere(name) {
				d.relays = append(d.relays, mention{name: name, file: file, line: line.Number})
				d.want("addresses", name)
			}
		}
	}
}

// wantKeys asks for the keys of DKIM that the DNS has.
func (d *lookups) wantKeys() {
	for _, line := range firstLines(d.domainsOf("dkimsign")) {
		table, err := dkimsign.Parse([]string{line.Text})
		if err != nil {
			return // told already
		}
		for _, name := range table.Keys() {
			rules, _ := table.Rules(firstWord(line.Text))
			for _, rule := range rules {
				if rule.Key == name {
					d.keys = append(d.keys, mention{name: rule.Selector + "._domainkey." + rule.Domain, file: "dkimsign", line: line.Number, rule: rule})
					d.want("txt", d.keys[len(d.keys)-1].name)
				}
			}
		}
	}
}

func firstWord(line string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
	return idn.Key(word)
}

// exchangers are the hosts that mail for our domains goes to.
func (d *lookups) exchangers() (names []string) {
	for _, about := range d.domains {
		names = append(names, d.values("mx", about.name)...)
	}
	return names
}

func (d *lookups) judgeMe() {
	me := d.me()
	q := question{"addresses", me}
	if me == "" {
		return
	}
	if d.said[q].None {
		d.warn("me", 1, me+" has no address in the DNS", "Give the name an address there: hosts that get mail from this one look it up.")
		return
	}
	for _, a := range d.values("addresses", me) {
		names := d.said[question{"names", a}]
		if address, err := netip.ParseAddr(a); err != nil || address.IsLoopback() || address.IsPrivate() || names.Fault != "" {
			continue
		}
		if !slices.ContainsFunc(names.Values, func(n string) bool { return idn.Key(n) == idn.Key(me) }) {
			d.warn("me", 1, fmt.Sprintf("the name of %s in the DNS is not %s (%s)", a, me, strings.Join(append(names.Values, "none")[:1], "")),
				"Have who gave you the address set its name (PTR): many hosts take no mail without that.")
		}
	}
}

// judgeDomain compares the mail exchangers of a domain with this host.
func (d *lookups) judgeDomain(about mention) {
	found := d.said[question{"mx", about.name}]
	hosts := found.Values
	switch {
	case found.Fault != "":
		return
	case found.None:
		if !about.remote {
			d.warn(about.file, about.line, about.name+" has no mail exchanger in the DNS", "Give it one there (MX), which names this host, if others send mail to it.")
		}
		return
	}
	ours := d.ourAddresses()
	at := slices.IndexFunc(hosts, func(host string) bool {
		return idn.Key(host) == idn.Key(d.me()) || slices.ContainsFunc(d.values("addresses", host), func(a string) bool { return slices.Contains(ours, a) })
	})
	switch {
	case at < 0 && !about.remote:
		d.warn(about.file, about.line, fmt.Sprintf("the mail exchanger of %s in the DNS is %s, and not this host", about.name, strings.Join(hosts[:min(3, len(hosts))], ", ")),
			"Change it in the DNS, or take the domain out of the file, unless that host hands its mail on to this one.")
	case at == 0 && about.remote:
		d.errorIn(about.file, about.line, fmt.Sprintf("this host is the best mail exchanger of %s, but does not deliver its mail: it bounces", about.name),
			"Write the domain into locals or virtualdomains, or give it a route in smtproutes.")
	}
}

// ourAddresses are those of this machine, and of its name.
func (d *lookups) ourAddresses() []string {
	ours := slices.Clone(d.values("addresses", d.me()))
	nets, err := net.InterfaceAddrs()
	if err != nil {
		return ours
	}
	for _, n := range nets {
		if p, err := netip.ParsePrefix(n.String()); err == nil && !p.Addr().IsLoopback() {
			ours = append(ours, p.Addr().String())
		}
	}
	return ours
}

// judgeKey compares a key of DKIM with the DNS.
func (d *lookups) judgeKey(about mention) {
	found := d.said[question{"txt", about.name}]
	mend := "Put the record into the DNS that qmail-dkimkey shows: until then the signatures of " + about.rule.Domain + " count for nothing."
	if found.Fault != "" {
		return
	}
	if found.None || len(found.Values) == 0 {
		d.errorIn(about.file, about.line, "the DNS has no "+about.name, mend)
		return
	}
	if !d.plainFiles(d.path(filepath.Join(dkimsign.KeyDir, about.rule.Key))) {
		return
	}
	public, err := d.parts.DKIMKey(d.path(filepath.Join(dkimsign.KeyDir, about.rule.Key)))
	if err != nil {
		return // told already
	}
	if !slices.ContainsFunc(found.Values, func(record string) bool { return hasKey(record, public) }) {
		d.errorIn(about.file, about.line, "the key in the DNS at "+about.name+" is another one", mend)
	}
}

// hasKey reports whether a record (RFC 6376 section 3.6.1) has a key. Of Ed25519
// it has the key alone (RFC 8463 section 4.2).
func hasKey(record string, spki []byte) bool {
	wanted := spki
	if key, err := x509.ParsePKIXPublicKey(spki); err == nil {
		if ed, is := key.(ed25519.PublicKey); is {
			wanted = ed
		}
	}
	for tag := range strings.SplitSeq(record, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(tag), "=")
		if strings.TrimSpace(name) != "p" {
			continue
		}
		der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(value), ""))
		return err == nil && string(der) == string(wanted)
	}
	return false
}
