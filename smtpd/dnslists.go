package smtpd

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"postrider/internal/control"
	"postrider/internal/wire/policy"
)

// dnsAction is what a list does to a client that is in it.
type dnsAction byte

const (
	actRefuse   dnsAction = ' ' // for now
	actRefuseIt dnsAction = '-' // for good
	actNote     dnsAction = '='
	actTrust    dnsAction = '+'
)

func (a dnsAction) String() string {
	return map[dnsAction]string{actRefuse: "451", actRefuseIt: "553", actNote: "none", actTrust: "trust"}[a]
}

// dnsList is a line of control/dnsbllist.
type dnsList struct {
	zone   string
	action dnsAction
	codes  []codeRange // what counts of its answers; none: all
	text   string      // with %IP%; empty: what the list says
}

// codeRange is a range of addresses, both ends included.
type codeRange struct{ first, last netip.Addr }

func (r codeRange) contains(a netip.Addr) bool {
	return r.first.Compare(a) <= 0 && a.Compare(r.last) <= 0
}

// maxZone leaves room for an IPv6 address in front of it.
const maxZone = policy.MaxZone - 64

// readLists reads control/dnsbllist: lines "[+-=]zone[=codes][:[-]text]" (spec section 6.7).
func readLists(dir control.Dir) (all []dnsList, err error) {
	_, err = dir.Each("dnsbllist", func(line string) error {
		if len(all) == policy.MaxZones {
			return fmt.Errorf("more than %d lists", policy.MaxZones)
		}
		l, err := parseList(line)
		if err != nil {
			return fmt.Errorf("%q: %w", line, err)
		}
		all = append(all, l)
		return nil
	})
	return all, err
}

func parseList(line string) (l dnsList, err error) {
	l.action = actRefuse
	if strings.IndexByte("+-=", line[0]) >= 0 {
		l.action, line = dnsAction(line[0]), line[1:]
	}
	where, text, _ := strings.Cut(line, ":")
	if hard, found := strings.CutPrefix(text, "-"); found {
		text = hard
		if l.action == actRefuse {
			l.action = actRefuseIt
		}
	}
	l.text = text
	zone, codes, selects := strings.Cut(where, "=")
	l.zone = strings.ToLower(strings.Trim(zone, "."))
	if !isZone(l.zone) {
		return l, fmt.Errorf("%q is no name of a zone", zone)
	}
	if !selects {
		return l, nil
	}
	for _, text := range strings.Split(codes, ",") {
		r, err := parseCodes(text)
		if err != nil {
			return l, err
		}
		l.codes = append(l.codes, r)
	}
	return l, nil
}

func isZone(name string) bool {
	if name == "" || len(name) > maxZone || !strings.Contains(name, ".") || strings.Contains(name, "..") {
		return false
	}
	for _, label := range strings.Split(name, ".") {
		if len(label) > 63 {
			return false
		}
	}
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == ""
}

// parseCodes takes an address such as 127.0.0.2, or a range 127.0.0.4-7.
func parseCodes(text string) (r codeRange, err error) {
	text, last, isRange := strings.Cut(text, "-")
	if r.first, err = netip.ParseAddr(text); err != nil || !r.first.Is4() {
		return r, fmt.Errorf("%q is no IPv4 address", text)
	}
	r.last = r.first
	if isRange {
		n, err := strconv.ParseUint(last, 10, 8)
		octets := r.first.As4()
		octets[3] = byte(n)
		if r.last = netip.AddrFrom4(octets); err != nil || r.last.Less(r.first) {
			return r, fmt.Errorf("%q is no end of a range that begins with %s", last, text)
		}
	}
	return r, nil
}

// lists reports whether the answer of a list puts a client into it.
func (l dnsList) lists(found policy.Listing) bool {
	if found.Standing != policy.Listed {
		return false
	}
	for _, code := range found.Codes {
		if len(l.codes) == 0 {
			return true
		}
		for _, r := range l.codes {
			if r.contains(code) {
				return true
			}
		}
	}
	return false
}

// askLists asks all lists at once, in the first transaction.
func (s *session) askLists(c checks, known *standing) reply {
	if known.listed {
		return known.refusal
	}
	zones := make([]string, len(c.lists))
	for i, l := range c.lists {
		zones[i] = l.zone
	}
	found, err := s.policy.within(clientWait).Lists(s.client, zones)
	if err != nil {
		s.logUnasked("dnsbllist", err)
		for _, l := range c.lists {
			if l.action == actRefuse || l.action == actRefuseIt {
				return replyListsUnsure
			}
		}
		return reply{}
	}
	known.listed = true
	known.refusal, known.white = s.decide(c, found)
	return known.refusal
}

// decide goes by what lists say. One that trusts a client wins. While one
// that could have done so does not answer, nobody is refused for good. Of those
// that refuse, the first that does so for good counts, else the first.
func (s *session) decide(c checks, found []policy.Listing) (refusal reply, white bool) {
	unsure, trustUnsure := false, false
	for i, l := range c.lists {
		switch {
		case found[i].Standing == policy.NoAnswer && l.action == actTrust:
			trustUnsure = true
		case found[i].Standing == policy.NoAnswer && l.action != actNote:
			unsure = true
		case l.lists(found[i]):
			s.logListed(l, found[i])
			white = white || l.action == actTrust
			if r := l.refusal(found[i], s.peer.ip); r.code == 553 && refusal.code != 553 || refusal.code == 0 {
				refusal = r
			}
		}
	}
	switch {
	case white:
		return reply{}, true
	case refusal.code == 0 && unsure && c.failClosed:
		return replyListsUnsure, false
	case refusal.code == 553 && trustUnsure:
		refusal.code, refusal.enhanced = 451, "4.7.1"
	}
	return refusal, false
}

// refusal is what a client that is in the list is told; zero if nothing. The
// zone is not named: its first label may be a key that this host pays for.
func (l dnsList) refusal(found policy.Listing, ip string) reply {
	r := reply{enhanced: "4.7.1", code: 451, rule: "dnsbllist"}
	switch l.action {
	case actNote, actTrust:
		return reply{}
	case actRefuseIt:
		r.enhanced, r.code = "5.7.1", 553
	}
	text := l.text
	if text == "" {
		text = found.Text
	}
	if text == "" {
		text = "sorry, your address %IP% is in a list of those that no mail is taken from"
	}
	r.text = printable(strings.ReplaceAll(text, "%IP%", ip))
	return r
}

// logListed logs that a client is in a list, once a session.
func (s *session) logListed(l dnsList, found policy.Listing) {
	b := s.logEvent("listed")
	logField(b, "zone", l.zone)
	var codes []string
	for _, code := range found.Codes {
		codes = append(codes, code.String())
	}
	logField(b, "answer", strings.Join(codes, ","))
	logField(b, "action", l.action.String())
	s.log.Line(b.String())
}
