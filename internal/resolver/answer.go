package resolver

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"postrider/internal/dane"
)

const (
	headerSize = 12
	maxRecords = 512 // of a section; more is refused
	maxKept    = 40  // records of an answer, the most preferred ones
	// maxText is the most octets of all texts of an answer; more is refused,
	// since nobody knows which of them matters.
	maxText = 16 << 10

	flagResponse      = 1 << 15
	flagAuthoritative = 1 << 10
	flagTruncated     = 1 << 9
	flagAuthentic     = 1 << 5
	rcodeMask         = 15
)

var (
	errNotOurs   = errors.New("no answer to the question asked")
	errNoEDNS    = errors.New("server does not know EDNS")
	errMalformed = errors.New("malformed answer")
	errLame      = errors.New("server refers to others")
	errAliases   = errors.New("too many aliases")
	errTooMany   = errors.New("answer holds too many records")
)

// records is what was found under a name.
type records struct {
	mx    []MX
	addrs []netip.Addr
	texts []string // of TXT records
	names []string // of PTR and CNAME records, with no final dot
	tlsa  []dane.Record

	// owner is the name that has the records, or lacks them, behind all aliases.
	owner string
	// authentic: a server that is believed about that has verified all of this,
	// also that there is no record (DNSSEC).
	authentic bool
}

func (r records) any() bool {
	return len(r.mx)+len(r.addrs)+len(r.texts)+len(r.names)+len(r.tlsa) > 0
}

// answer is what a response says.
type answer struct {
	truncated bool
	found     records
	ttl       uint32 // seconds
	next      string // the alias whose records are not in the response
	err       error  // nil, ErrNoName or ErrNoRecord
}

// parse reads a response. errNotOurs: it answers another question.
func parse(msg []byte, id uint16, q question) (answer, error) {
	if len(msg) < headerSize || binary.BigEndian.Uint16(msg) != id {
		return answer{}, errNotOurs
	}
	flags := binary.BigEndian.Uint16(msg[2:])
	if flags&flagResponse == 0 {
		return answer{}, errNotOurs
	}
	rcode := int(flags & rcodeMask)
	questions := binary.BigEndian.Uint16(msg[4:])
	if rcode == dns.RcodeFormatError && questions == 0 {
		// A server that could not read the query may leave out the question.
		return answer{}, errNoEDNS
	}
	off, ok := repeats(msg, questions, q)
	if !ok {
		return answer{}, errNotOurs
	}
	switch rcode {
	case dns.RcodeSuccess, dns.RcodeNameError:
	case dns.RcodeFormatError, dns.RcodeNotImplemented:
		return answer{}, errNoEDNS
	default:
		return answer{}, fmt.Errorf("server answered %s", dns.RcodeToString[rcode])
	}
	if flags&flagTruncated != 0 {
		return answer{truncated: true}, nil
	}
	answers, off, err := section(msg, off, binary.BigEndian.Uint16(msg[6:]))
	if err != nil {
		return answer{}, err
	}
	authority, off, err := section(msg, off, binary.BigEndian.Uint16(msg[8:]))
	if err != nil {
		return answer{}, err
	}
	additional, _, err := section(msg, off, binary.BigEndian.Uint16(msg[10:]))
	if err != nil {
		return answer{}, err
	}
	if extendedRcode(additional) != 0 {
		return answer{}, errNoEDNS
	}
	a, err := conclude(q, rcode, flags&flagAuthoritative != 0, answers, authority)
	a.found.authentic = q.authentic && flags&flagAuthentic != 0
	return a, err
}

// repeats reports whether the response repeats the question, and where its
// records begin.
func repeats(msg []byte, questions uint16, q question) (off int, ok bool) {
	if questions != 1 {
		return 0, false
	}
	name, off, err := dns.UnpackDomainName(msg, headerSize)
	if err != nil || len(msg) < off+4 || !strings.EqualFold(name, q.name) {
		return 0, false
	}
	qtype, class := binary.BigEndian.Uint16(msg[off:]), binary.BigEndian.Uint16(msg[off+2:])
	return off + 4, qtype == q.qtype && class == dns.ClassINET
}

// section returns the records of one section.
func section(msg []byte, off int, count uint16) (rrs []dns.RR, next int, err error) {
	if count > maxRecords {
		return nil, 0, errTooMany
	}
	for range count {
		if off >= len(msg) {
			return nil, 0, errMalformed
		}
		var rr dns.RR
		if rr, off, err = dns.UnpackRR(msg, off); err != nil {
			return nil, 0, errMalformed
		}
		// In an OPT record the class is the size of a datagram.
		if h := rr.Header(); h.Class == dns.ClassINET || h.Rrtype == dns.TypeOPT {
			rrs = append(rrs, rr)
		}
	}
	return rrs, off, nil
}

// conclude decides what the records say about the question.
func conclude(q question, rcode int, authoritative bool, answers, authority []dns.RR) (answer, error) {
	a := answer{ttl: uint32(maxTTL.Seconds())}
	name := q.name
	for hop := 0; ; hop++ {
		if hop > maxHops {
			return answer{}, errAliases
		}
		a.found.owner = strings.ToLower(strings.TrimSuffix(name, "."))
		a.collect(name, q.qtype, answers)
		if a.found.any() {
			err := a.trim()
			return a, err
		}
		target, ttl := alias(name, answers)
		if target == "" {
			break
		}
		name, a.ttl = target, min(a.ttl, ttl)
	}

	soa, referral := negative(authority)
	if soa != nil {
		// RFC 2308 section 5.
		a.ttl = min(a.ttl, soa.Hdr.Ttl, soa.Minttl, uint32(maxNegativeTTL.Seconds()))
	} else {
		a.ttl = 0 // not to be cached
	}
	switch {
	case rcode == dns.RcodeNameError:
		a.err = ErrNoName
	case soa != nil:
		a.err = ErrNoRecord
	case !strings.EqualFold(name, q.name):
		next, ok := normal(name)
		if !ok {
			a.err = ErrNoName // an alias of what can be no host
		}
		a.next, a.ttl = next, uint32(maxTTL.Seconds())
	case referral && !authoritative:
		return answer{}, errLame
	default:
		a.err = ErrNoRecord
	}
	return a, nil
}

// collect takes the records of the wanted type that belong to name.
func (a *answer) collect(name string, qtype uint16, answers []dns.RR) {
	for _, rr := range answers {
		h := rr.Header()
		if h.Rrtype != qtype || !strings.EqualFold(h.Name, name) {
			continue
		}
		switch rr := rr.(type) {
		case *dns.MX:
			a.found.mx = append(a.found.mx, MX{rr.Preference, strings.TrimSuffix(rr.Mx, ".")})
		case *dns.A:
			a.addAddress(rr.A)
		case *dns.AAAA:
			a.addAddress(rr.AAAA)
		case *dns.TXT:
			a.found.texts = append(a.found.texts, text(rr.Txt))
		case *dns.PTR:
			host, ok := normal(rr.Ptr)
			if !ok {
				continue // no host can have that name
			}
			a.found.names = append(a.found.names, host)
		case *dns.CNAME:
			a.found.names = append(a.found.names, strings.ToLower(strings.TrimSuffix(rr.Target, ".")))
		case *dns.TLSA:
			data, err := hex.DecodeString(rr.Certificate)
			if err != nil {
				continue // the library makes it from octets
			}
			a.found.tlsa = append(a.found.tlsa, dane.Record{Usage: rr.Usage, Selector: rr.Selector, Matching: rr.MatchingType, Data: data})
		default:
			continue
		}
		a.ttl = min(a.ttl, h.Ttl)
	}
}

// trim drops what exceeds maxKept, and refuses what exceeds maxText.
func (a *answer) trim() error {
	slices.SortStableFunc(a.found.mx, func(x, y MX) int { return cmp.Compare(x.Pref, y.Pref) })
	a.found.mx = a.found.mx[:min(len(a.found.mx), maxKept)]
	a.found.addrs = a.found.addrs[:min(len(a.found.addrs), maxKept)]
	a.found.names = a.found.names[:min(len(a.found.names), maxKept)]
	if len(a.found.tlsa) > maxKept {
		return errTooMany // the one that matters may be any of them
	}
	size := 0
	for _, t := range a.found.texts {
		size += len(t)
	}
	if size > maxText {
		return errTooMany
	}
	return nil
}

// text joins the strings of a TXT record (RFC 7208 section 3.3). The library
// has them as zone files do: a backslash is in front of what is not plain.
func text(parts []string) string {
	joined := strings.Join(parts, "")
	if strings.IndexByte(joined, '\\') < 0 {
		return joined
	}
	b := make([]byte, 0, len(joined))
	for i := 0; i < len(joined); i++ {
		c := joined[i]
		if c == '\\' && i+1 < len(joined) {
			i++
			c = joined[i]
			if octet, err := strconv.ParseUint(joined[i:min(i+3, len(joined))], 10, 8); err == nil && i+3 <= len(joined) {
				c = byte(octet)
				i += 2
			}
		}
		b = append(b, c)
	}
	return string(b)
}

func (a *answer) addAddress(ip []byte) {
	if addr, ok := netip.AddrFromSlice(ip); ok {
		a.found.addrs = append(a.found.addrs, addr.Unmap())
	}
}

// alias returns the target of name's CNAME, if it has one.
func alias(name string, answers []dns.RR) (target string, ttl uint32) {
	for _, rr := range answers {
		if cname, ok := rr.(*dns.CNAME); ok && strings.EqualFold(cname.Hdr.Name, name) {
			return cname.Target, cname.Hdr.Ttl
		}
	}
	return "", 0
}

// extendedRcode returns the upper bits of the response code, which tell that
// an empty answer is none (RFC 6891 section 6.1.3).
func extendedRcode(additional []dns.RR) int {
	for _, rr := range additional {
		if opt, ok := rr.(*dns.OPT); ok {
			return opt.ExtendedRcode() &^ rcodeMask
		}
	}
	return 0
}

// negative returns what the authority section says about an empty answer: a
// SOA confirms it, name servers alone are a referral (RFC 2308 section 2.2).
func negative(authority []dns.RR) (soa *dns.SOA, referral bool) {
	for _, rr := range authority {
		switch rr := rr.(type) {
		case *dns.SOA:
			return rr, false
		case *dns.NS:
			referral = true
		}
	}
	return nil, referral
}
