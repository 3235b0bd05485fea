package inject

import (
	"strings"

	"postrider/internal/control"
	"postrider/internal/header"
	"postrider/internal/world"
)

// rules are how an address gets the domain that it lacks (spec section 7.1).
type rules struct {
	defaultHost   string // already complete
	defaultDomain string
	plusDomain    string
	idHost        string // of Message-ID; not part of the rules
}

func readRules(w world.World) (rules, error) {
	dir := control.Dir(w.Home + "/control")
	var r rules
	for _, s := range []struct {
		value          *string
		variable, file string
	}{
		{&r.defaultDomain, "QMAILDEFAULTDOMAIN", "defaultdomain"},
		{&r.defaultHost, "QMAILDEFAULTHOST", "defaulthost"},
		{&r.plusDomain, "QMAILPLUSDOMAIN", "plusdomain"},
		{&r.idHost, "QMAILIDHOST", "idhost"},
	} {
		value, set := w.Getenv(s.variable)
		if set {
			if header.CheckHost(value) != nil {
				return rules{}, refuse(s.variable + " is no domain: " + shown(value))
			}
		} else {
			var err error
			if value, err = dir.LineOrMe(s.file, s.file); err != nil {
				return rules{}, trouble("unable to read controls", err)
			}
			if err := header.CheckHost(value); err != nil {
				return rules{}, trouble("unable to use "+w.Home+"/control/"+s.file+" (or me)", err)
			}
		}
		*s.value = value
	}
	r.defaultHost = r.qualify(r.defaultHost)
	return r, nil
}

// complete gives an address its full domain. The null address and one at "[]",
// which stands for bounces, stay.
func (r *rules) complete(a header.Addr) (header.Addr, error) {
	switch {
	case a.IsNull() || a.Host == "[]":
		return a, nil
	case a.Host == "":
		a.Host = r.defaultHost
	default:
		a.Host = r.qualify(a.Host)
	}
	return header.NewAddr(a.Local, a.Host)
}

// qualify makes a domain of a host name without dots.
func (r *rules) qualify(host string) string {
	suffix := r.defaultDomain
	switch {
	case strings.HasSuffix(host, "+"):
		host, suffix = host[:len(host)-1], r.plusDomain
	case strings.IndexByte(host, '.') >= 0 || strings.HasPrefix(host, "["):
		return host
	}
	if host == "" || suffix == "" {
		return host + suffix
	}
	return host + "." + suffix
}

// argument reads an address that is a word of the command line: what stands
// before the last "@" is the local part, whatever it is. One pair of angle
// brackets around it is taken off.
func (r *rules) argument(word string) (header.Addr, error) {
	a, err := header.NewAddr(splitArgument(word))
	if err != nil {
		return header.Addr{}, err
	}
	return r.complete(a)
}

// splitArgument splits an address word. As in a header, one dot and then one
// "@" at its end do not count.
func splitArgument(word string) (local, host string) {
	if strings.HasPrefix(word, "<") && strings.HasSuffix(word, ">") {
		word = word[1 : len(word)-1]
	}
	at := strings.LastIndexByte(word, '@')
	if at < 0 {
		return word, ""
	}
	return word[:at], strings.TrimSuffix(word[at+1:], ".")
}
