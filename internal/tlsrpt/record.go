package tlsrpt

import (
	"net/url"
	"strings"

	"postrider/internal/address"
)

const (
	version = "v=TLSRPTv1"
	// MaxAddresses is the most addresses of a domain that get its report. It is
	// anybody's word that they want it.
	MaxAddresses = 2
)

// ParseRecord returns the mail addresses that the TXT records of
// _smtp._tls.DOMAIN name; others says whether they name anything else. Without
// one record, and no more, nobody wants a report (RFC 8460 section 3).
func ParseRecord(texts []string) (addresses []address.Address, others bool) {
	var record string
	found := 0
	for _, text := range texts {
		if first, _, _ := strings.Cut(text, ";"); strings.TrimRight(first, " \t") == version {
			record = text
			found++
		}
	}
	if found != 1 {
		return nil, false
	}
	_, fields, _ := strings.Cut(record, ";")
	for field := range strings.SplitSeq(fields, ";") {
		name, value, _ := strings.Cut(field, "=")
		if strings.Trim(name, " \t") != "rua" {
			continue
		}
		for uri := range strings.SplitSeq(value, ",") {
			a, ok := mailto(strings.Trim(uri, " \t"))
			switch {
			case !ok:
				others = true
			case len(addresses) < MaxAddresses:
				addresses = append(addresses, a)
			}
		}
		break // the first one counts
	}
	return addresses, others
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
