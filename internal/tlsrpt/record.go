package tlsrpt

import (
	"net/netip"
	"net/url"
	"strings"

	"postrider/internal/address"
)

const (
	version = "v=TLSRPTv1"
	// MaxDestinations is to how many places a domain's report goes at most. It is
	// anybody's word that they want it.
	MaxDestinations = 2
	// MaxURL is the most bytes of the URL of one of them.
	MaxURL = 1000
)

// Destinations is where a domain's report goes.
type Destinations struct {
	Mail []address.Address
	Web  []string // URLs that IsURL takes
	// Others says that places are named to which none goes.
	Others bool
}

// ParseRecord returns what the TXT records of _smtp._tls.DOMAIN name. Without
// one record, and no more, nobody wants a report (RFC 8460 section 3).
func ParseRecord(texts []string) (d Destinations) {
	var record string
	found := 0
	for _, text := range texts {
		if first, _, _ := strings.Cut(text, ";"); strings.TrimRight(first, " \t") == version {
			record = text
			found++
		}
	}
	if found != 1 {
		return d
	}
	_, fields, _ := strings.Cut(record, ";")
	for field := range strings.SplitSeq(fields, ";") {
		name, value, _ := strings.Cut(field, "=")
		if strings.Trim(name, " \t") != "rua" {
			continue
		}
		for uri := range strings.SplitSeq(value, ",") {
			d.add(strings.Trim(uri, " \t"))
		}
		break // the first one counts
	}
	return d
}

// add takes in a URI.
func (d *Destinations) add(uri string) {
	a, isMail := mailto(uri)
	switch {
	case len(d.Mail)+len(d.Web) >= MaxDestinations, !isMail && !IsURL(uri):
		d.Others = true
	case isMail:
		d.Mail = append(d.Mail, a)
	default:
		d.Web = append(d.Web, uri)
	}
}

// mailto is the address of a URI, if it has one (RFC 6068); what a "?" precedes
// would be header fields.
func mailto(uri string) (a address.Address, ok bool) {
	scheme, rest, found := strings.Cut(uri, ":")
	if !found || !strings.EqualFold(scheme, "mailto") {
		return a, false
	}
	rest, _, _ = strings.Cut(rest, "?")
	text, err := url.PathUnescape(rest)
	if err != nil {
		return a, false
	}
	a, err = address.New(text)
	return a, err == nil && isMailbox(a)
}

// IsURL reports whether a report may be sent to a URL: to a web server by its
// name, by HTTPS at its usual port.
func IsURL(s string) bool {
	if len(s) > MaxURL || !isText(s) || strings.ContainsAny(s, " \"<>\\^`{|}#") {
		return false
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.User != nil || u.Opaque != "" || u.Port() != "" && u.Port() != "443" {
		return false
	}
	host := u.Hostname()
	_, notAddress := netip.ParseAddr(host)
	return notAddress != nil && IsName(host) && strings.Contains(host, ".")
}
