package resolver

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

const (
	headerSize = 12
	maxRecords = 512 // of a section; more is refused
	maxKept    = 40  // records of an answer, the most preferred ones

	flagResponse      = 1 << 15
	flagAuthoritative = 1 << 10
	flagTruncated     = 1 << 9
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
	return conclude(q, rcode, flags&flagAuthoritative != 0, answers, authority)
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
		a.collect(name, q.qtype, answers)
		if len(a.found.mx)+len(a.found.addrs) > 0 {
			a.trim()
			return a, nil
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
		default:
			continue
		}
		a.ttl = min(a.ttl, h.Ttl)
	}
}

// trim drops what exceeds maxKept.
func (a *answer) trim() {
	slices.SortStableFunc(a.found.mx, func(x, y MX) int { return cmp.Compare(x.Pref, y.Pref) })
	a.found.mx = a.found.mx[:min(len(a.found.mx), maxKept)]
	a.found.addrs = a.found.addrs[:min(len(a.found.addrs), maxKept)]
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
