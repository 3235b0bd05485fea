package sendmail

import (
	"encoding/base64"
	"net/netip"
	"strings"

	"postrider/internal/migrate"
)

// relayFor makes a domain one whose mail is taken and passed on.
func (r *reader) relayFor(name string, where migrate.Where) {
	if isAddress(name) {
		r.rules = append(r.rules, prefix(name)+`:allow,RELAYCLIENT=""`)
		return
	}
	if !r.local[name] {
		r.site.Remark(migrate.Decided, where, name, "mail for it is taken; hosts with such a name may not relay for that: rules of control/tcp.smtp go by addresses")
	}
	r.site.Add("rcpthosts", name)
	r.site.Probes = append(r.site.Probes, "somebody@"+name)
	if !r.exact {
		r.site.Add("rcpthosts", "."+name)
		r.site.Probes = append(r.site.Probes, "somebody@sub."+name)
	}
}

// isAddress tells an address, or the beginning of one: 192.0.2, IPv6:2001:db8.
func isAddress(name string) bool {
	if strings.HasPrefix(name, "ipv6:") {
		return true
	}
	return name != "" && strings.Trim(name, "0123456789.") == ""
}

// prefix is such an address as rules have it.
func prefix(name string) string {
	if rest, found := strings.CutPrefix(name, "ipv6:"); found {
		if a, err := netip.ParseAddr(rest); err == nil {
			return a.String()
		}
		groups := strings.Count(strings.TrimSuffix(rest, ":"), ":") + 1
		if p, err := netip.ParseAddr(strings.TrimSuffix(rest, ":") + "::"); err == nil && groups < 8 {
			return netip.PrefixFrom(p, groups*16).String()
		}
		return rest
	}
	if strings.Count(strings.TrimSuffix(name, "."), ".") < 3 {
		return strings.TrimSuffix(name, ".") + "."
	}
	return name
}

// accessRules goes through the table access.
func (r *reader) accessRules() {
	for _, e := range r.access.entries {
		tag, key, tagged := strings.Cut(e.key, ":")
		if !tagged || tag == "ipv6" {
			tag, key = "", e.key
		}
		lose := func(why string) { r.site.Remark(migrate.Lost, e.where, e.key+" "+e.value, "%s", why) }
		switch tag {
		case "authinfo":
			r.login(key, e)
		case "connect", "":
			r.connect(tag, key, e, lose)
		case "from":
			r.refuse("badmailfrom", key, e, lose)
		case "to":
			if strings.EqualFold(e.value, "RELAY") {
				r.relayFor(key, e.where)
			} else {
				r.refuse("badmailto", key, e, lose)
			}
		case "greetpause", "clientrate", "clientconn":
			r.limits(tag, key, e, lose)
		case "spam":
			lose("friends and haters of spam are not told apart")
		default:
			lose("this kind of entry has no equivalent; TLS by domain is in control/tlspolicy")
		}
	}
}

// refuses tells whether a value refuses mail.
func refuses(value string) bool {
	upper := strings.ToUpper(value)
	return upper == "REJECT" || strings.HasPrefix(upper, "ERROR:") || len(value) >= 3 && (value[0] == '5' || value[0] == '4') && strings.Trim(value[:3], "0123456789") == ""
}

// connect is a client, or without a tag also a sender and a domain of recipients.
func (r *reader) connect(tag, key string, e entry, lose func(string)) {
	value := strings.ToUpper(e.value)
	if isAddress(key) {
		switch {
		case value == "RELAY":
			r.rules = append(r.rules, prefix(key)+`:allow,RELAYCLIENT=""`)
		case refuses(e.value), value == "DISCARD":
			r.rules = append(r.rules, prefix(key)+":deny")
		case value == "OK":
			r.rules = append(r.rules, prefix(key)+`:allow,DNSBLSKIP="",CHECKRDNS="0"`)
		default:
			lose("a client is allowed, denied, or may relay")
		}
		return
	}
	switch {
	case tag == "connect" && (key == "localhost" || key == "localhost.localdomain"):
	case tag == "connect":
		lose("rules of control/tcp.smtp go by addresses: name the networks of these hosts")
	case value == "RELAY" && !strings.Contains(key, "@"):
		r.relayFor(key, e.where)
	case refuses(e.value):
		r.refuse("badmailfrom", key, e, lose)
		if r.features["blacklist_recipients"] || r.features["blocklist_recipients"] {
			r.refuse("badmailto", key, e, lose)
		}
	default:
		lose("what is let through before other tests has no equivalent")
	}
}

// refuse adds a line to a list of what is refused.
func (r *reader) refuse(file, key string, e entry, lose func(string)) {
	local, domain, at := strings.Cut(key, "@")
	switch {
	case !refuses(e.value):
		lose("control/" + file + " only refuses")
	case at && domain == "" && local != "": // user@, in all local domains
		for _, d := range r.site.Hosted {
			r.site.Add(file, local+"@"+d)
		}
	case key == "" || isAddress(key):
		lose("control/" + file + " takes addresses and @domain")
	case !at:
		r.site.Add(file, "@"+key)
		r.site.Remark(migrate.Decided, e.where, e.key, "in control/%s a domain does not stand for those below it", file)
	default:
		r.site.Add(file, key)
	}
}

// limits are entries of features that have defaults in the table.
func (r *reader) limits(tag, key string, e entry, lose func(string)) {
	file := map[string]string{"greetpause": "", "clientrate": "rateconnsmtp", "clientconn": "concurrencysmtpip"}[tag]
	number := e.value != "" && strings.Trim(e.value, "0123456789") == ""
	switch {
	case key == "" && file != "" && number:
		r.site.Set(file, e.value)
	case tag == "clientrate" && isAddress(key) && number:
		r.rules = append(r.rules, prefix(key)+`:allow,RATECONNSMTP="`+e.value+`"`)
	default:
		lose("limits are for all clients, but for rates of control/tcp.smtp")
	}
}

// login is AuthInfo:host "U:user" "P:password"; a value with = is base64.
func (r *reader) login(host string, e entry) {
	user, password := "", ""
	for _, word := range strings.Split(e.value, `"`) {
		if len(word) < 3 || word[1] != ':' && word[1] != '=' {
			continue
		}
		value := word[2:]
		if word[1] == '=' {
			decoded, err := base64.StdEncoding.DecodeString(value)
			if err != nil {
				continue
			}
			value = string(decoded)
		}
		switch word[0] {
		case 'U':
			user = value
		case 'I':
			if user == "" {
				user = value
			}
		case 'P':
			password = value
		}
	}
	if user == "" || password == "" || strings.ContainsAny(user+password+host, "|\n\x00") || host == "" {
		r.site.Remark(migrate.Lost, e.where, "AuthInfo:"+host, "no user and password, or no host: write control/remoteauth by hand, relay|user|password")
		return
	}
	r.site.Remark(migrate.Carried, e.where, "AuthInfo:"+host, "control/remoteauth: it belongs to qmailr, mode 0600")
	r.site.Secret["remoteauth"] = true
	r.site.Add("remoteauth", relayOf(host)+"|"+user+"|"+password)
}
