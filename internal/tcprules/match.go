package tcprules

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
)

// Client is what is known about the other end of a connection.
type Client struct {
	IP   netip.Addr
	Host string // empty if not known
	Info string // empty if not known
}

// Decision is the rule for a client.
type Decision struct {
	Deny bool
	vars string // the record of a cdb: '+' name '=' value NUL, '-' name NUL
}

// Lookup returns what a rule set holds for the variable name. set is false if
// the rule does not mention it, or unsets it.
func (d Decision) Lookup(name string) (value string, set bool) {
	for rest := d.vars; rest != ""; {
		var item string
		item, rest, _ = strings.Cut(rest, "\x00")
		if item == "-"+name {
			value, set = "", false
		} else if v, found := strings.CutPrefix(item, "+"+name+"="); found {
			value, set = v, true
		}
	}
	return value, set
}

// Unsets reports whether the rule removes the variable name.
func (d Decision) Unsets(name string) bool {
	unset := false
	for rest := d.vars; rest != ""; {
		var item string
		item, rest, _ = strings.Cut(rest, "\x00")
		if item == "-"+name {
			unset = true
		} else if strings.HasPrefix(item, "+"+name+"=") {
			unset = false
		}
	}
	return unset
}

// Items calls visit with what the rule does to the environment, in its order:
// NAME=value entries are set, a NAME alone is removed.
func (d Decision) Items(visit func(item string, set bool)) {
	for rest := d.vars; rest != ""; {
		var item string
		item, rest, _ = strings.Cut(rest, "\x00")
		if item != "" {
			visit(item[1:], item[0] == '+')
		}
	}
}

// Apply returns an environment, NAME=value entries, with what the rule sets and
// without what it unsets.
func (d Decision) Apply(environ []string) []string {
	environ = slices.Clone(environ)
	for rest := d.vars; rest != ""; {
		var item string
		item, rest, _ = strings.Cut(rest, "\x00")
		if item == "" {
			continue
		}
		name, _, _ := strings.Cut(item[1:], "=")
		environ = slices.DeleteFunc(environ, func(entry string) bool { return strings.HasPrefix(entry, name+"=") })
		if item[0] == '+' {
			environ = append(environ, item[1:])
		}
	}
	return environ
}

// ErrRecord is returned for a record that tcprules does not make.
var ErrRecord = errors.New("rule record is damaged")

// ParseRecord reads the data of a record of a rules cdb.
func ParseRecord(data []byte) (Decision, error) {
	var d Decision
	rest := string(data)
	if strings.HasPrefix(rest, "D") {
		d.Deny = true
		var word string
		var found bool
		word, rest, found = strings.Cut(rest, "\x00")
		if word != "D" || !found {
			return Decision{}, ErrRecord
		}
	}
	d.vars = rest
	for rest != "" {
		item, after, found := strings.Cut(rest, "\x00")
		set := strings.HasPrefix(item, "+") && strings.Contains(item, "=")
		if !found || !set && !strings.HasPrefix(item, "-") {
			return Decision{}, ErrRecord
		}
		rest = after
	}
	return d, nil
}

// Rules is a parsed text. The zero value has no rules: everybody is allowed.
type Rules struct {
	exact map[string]Decision
	nets  []network // most specific first
}

type network struct {
	prefix netip.Prefix
	rule   Decision
}

// Match returns the rule for c. The search order is that of tcpserver:
// info@ip, info@=host, ip, =host, dot-ended prefixes of the IPv4 address from
// the longest, suffixes of =host from the longest, "=" if the host is known,
// the empty address. Networks in CIDR form come behind the single address,
// the smallest first.
func (r *Rules) Match(c Client) Decision {
	_, d, _ := r.Find(c)
	return d
}

// Find is Match, and says which rule it was: the address as it stands in a
// database, or the network.
func (r *Rules) Find(c Client) (name string, d Decision, found bool) {
	get := func(key string) (Decision, bool, error) {
		d, found := r.exact[key]
		return d, found, nil
	}
	name, d, found, _ = search(c, get, r.network)
	return name, d, found
}

func (r *Rules) network(ip netip.Addr) (name string, d Decision, found bool) {
	for _, n := range r.nets {
		if n.prefix.Contains(ip) {
			return n.prefix.String(), n.rule, true
		}
	}
	return "", Decision{}, false
}

// Getter is a database of rules: *cdb.Reader.
type Getter interface {
	Get(key []byte) (data []byte, found bool, err error)
}

// FindDatabase is Find on the database that the tcprules program makes.
func FindDatabase(db Getter, c Client) (name string, d Decision, found bool, err error) {
	get := func(key string) (Decision, bool, error) {
		data, found, err := db.Get([]byte(key))
		if err != nil || !found {
			return Decision{}, false, err
		}
		d, err := ParseRecord(data)
		return d, err == nil, err
	}
	return search(c, get, func(netip.Addr) (string, Decision, bool) { return "", Decision{}, false })
}

// search tries the keys of c in order until one has a rule. A client without an
// address, as tcpserver has none, has only its names.
func search(c Client, get func(string) (Decision, bool, error), network func(netip.Addr) (string, Decision, bool)) (name string, d Decision, found bool, err error) {
	addr := c.IP.Unmap().WithZone("")
	ip, host := "", strings.ToLower(c.Host)
	if addr.IsValid() {
		ip = addr.String()
	}
	var keys []string
	if c.Info != "" {
		keys = append(keys, c.Info+"@"+ip)
		if host != "" {
			keys = append(keys, c.Info+"@="+host)
		}
	}
	keys = append(keys, ip)
	for _, key := range keys {
		if d, found, err := get(key); found || err != nil {
			return key, d, found, err
		}
	}
	if name, d, found := network(addr); found {
		return name, d, true, nil
	}
	for _, key := range wider(addr, ip, host) {
		if d, found, err := get(key); found || err != nil {
			return key, d, found, err
		}
	}
	return "", Decision{}, false, nil
}

// wider returns the keys behind the address itself, in order.
func wider(addr netip.Addr, ip, host string) []string {
	var keys []string
	if host != "" {
		keys = append(keys, "="+host)
	}
	if addr.Is4() {
		for dot := strings.LastIndexByte(ip, '.'); dot >= 0; dot = strings.LastIndexByte(ip[:dot], '.') {
			keys = append(keys, ip[:dot+1])
		}
	}
	if host != "" {
		for i, labels := 0, 0; i < len(host) && labels < maxLabels; i++ {
			if host[i] == '.' {
				keys = append(keys, "="+host[i:])
				labels++
			}
		}
		keys = append(keys, "=")
	}
	return append(keys, "")
}

// maxLabels bounds the work for a name that a stranger's DNS made up; a name
// has at most 127 labels (RFC 1035 section 2.3.4).
const maxLabels = 127
