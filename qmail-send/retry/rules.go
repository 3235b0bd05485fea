package retry

import (
	"fmt"
	"slices"
	"strings"

	"postrider/internal/control"
	"postrider/internal/dsn"
	"postrider/internal/idn"
	"postrider/internal/route"
	"postrider/qmail-send/timeline"
)

// cause is the kind of a temporary failure, as control/retryrules has it.
type cause int

const (
	anyTrouble        cause = iota
	connectionTrouble       // no connection, or it ended too early
	dnsTrouble              // no answer about the name
	tlsTrouble              // a connection that is not as safe as it must be
	greylisted              // "not yet", said by the other host
	refused                 // another temporary reply of the other host
	localTrouble            // of a local delivery
	ourTrouble              // of this host: controls, memory, a lost program
	causes
)

var causeNames = map[string]cause{
	"*": anyTrouble, "connection": connectionTrouble, "dns": dnsTrouble, "tls": tlsTrouble,
	"greylisted": greylisted, "refused": refused, "local": localTrouble, "own": ourTrouble,
}

// maxRules bounds control/retryrules.
const maxRules = 10000

// Rules says which curve a delivery that was deferred has. nil is qmail's
// for all.
type Rules struct {
	byDomain map[string]*[causes]*Curve // "*", "example.org", ".example.org"
	all      []Curve                    // each once
}

// ReadRules reads control/retryrules: DESTINATION TROUBLE SCHEDULE.
func ReadRules(dir control.Dir) (*Rules, error) {
	r := &Rules{byDomain: make(map[string]*[causes]*Curve)}
	rules := 0
	_, err := dir.Each("retryrules", func(line string) error {
		if rules++; rules > maxRules {
			return fmt.Errorf("more than %d rules", maxRules)
		}
		if err := r.add(strings.Fields(line)); err != nil {
			return fmt.Errorf("%q: %w", line, err)
		}
		return nil
	})
	if err != nil || rules == 0 {
		return nil, err
	}
	return r, nil
}

func (r *Rules) add(words []string) error {
	if len(words) < 3 {
		return fmt.Errorf("a rule is a destination, a kind of trouble and a schedule")
	}
	domain := idn.Key(words[0]) // as the domains of recipients are
	if domain != "*" && (strings.ContainsAny(domain, "*@") || domain == ".") {
		return fmt.Errorf("%q is no destination: a domain, .domain or *", words[0])
	}
	kind, known := causeNames[words[1]]
	if !known {
		return fmt.Errorf("%q is no kind of trouble", words[1])
	}
	cv, err := parseCurve(words[2:])
	if err != nil {
		return err
	}
	rules := r.byDomain[domain]
	if rules == nil {
		rules = new([causes]*Curve)
		r.byDomain[domain] = rules
	}
	if rules[kind] != nil {
		return fmt.Errorf("a second rule for the same")
	}
	rules[kind] = &cv
	if cv.ages != nil && !slices.ContainsFunc(r.all, func(other Curve) bool { return slices.Equal(other.ages, cv.ages) }) {
		r.all = append(r.all, cv)
	}
	return nil
}

// of returns the curve of a delivery to a domain on c that failed so. The
// closest destination with a rule for that trouble or for any decides.
func (r *Rules) of(c route.Channel, domain string, kind cause) Curve {
	if r == nil {
		return quadratic(c)
	}
	domain = strings.ToLower(domain)
	cv := r.find(domain, kind)
	for rest := domain; cv == nil; {
		dot := strings.IndexByte(rest, '.')
		if dot < 0 {
			cv = r.find("*", kind)
			break
		}
		rest = rest[dot+1:]
		cv = r.find("."+rest, kind)
	}
	if cv == nil || cv.ages == nil {
		return quadratic(c)
	}
	return *cv
}

func (r *Rules) find(domain string, kind cause) *Curve {
	rules := r.byDomain[domain]
	switch {
	case rules == nil:
		return nil
	case rules[kind] != nil:
		return rules[kind]
	}
	return rules[anyTrouble]
}

// Usual returns the curve of a channel where nothing is known of the failure.
func (r *Rules) Usual(c route.Channel) Curve { return r.of(c, "", anyTrouble) }

// Latest returns the latest time at which any rule would have a message tried
// again of which a pass starts at now.
func (r *Rules) Latest(birth, now timeline.Moment, c route.Channel) timeline.Moment {
	at := quadratic(c).Next(birth, now)
	if r != nil {
		for _, cv := range r.all {
			at = max(at, cv.Next(birth, now))
		}
	}
	return at
}

// After returns the curve of a delivery that was deferred with such a report.
func (r *Rules) After(c route.Channel, to, report string) Curve {
	if r == nil {
		return quadratic(c)
	}
	return r.of(c, route.DomainOf(to), causeOf(c, report))
}

// Restored returns when a message is tried again on c of which is known only
// that the other channel's attempt is at t, and the earlier.
func (r *Rules) Restored(birth, t timeline.Moment, c route.Channel) timeline.Moment {
	if r == nil {
		return quadratic(c).NotBefore(birth, t)
	}
	return t
}

// causeOf tells the kind of trouble from the report of a delivery agent: from
// the status of ours, and from the reply of another host.
func causeOf(c route.Channel, report string) cause {
	said := dsn.Parse(report, false)
	if said.SMTP {
		if saysGreylisted(said) {
			return greylisted
		}
		if said.Status != "4.7.4" && said.Status != "4.7.5" {
			return refused
		}
	}
	switch said.Status {
	case "4.4.1", "4.4.2":
		return connectionTrouble
	case "4.1.2", "4.4.3":
		return dnsTrouble
	case "4.7.4", "4.7.5":
		return tlsTrouble
	}
	switch {
	case strings.HasPrefix(said.Status, "4.3."):
		return ourTrouble
	case c == route.Local:
		return localTrouble
	}
	return anyTrouble
}

// saysGreylisted reports whether an SMTP reply says "not yet": in words, or as
// a policy that is temporary.
func saysGreylisted(r dsn.Reply) bool {
	text := strings.ToLower(r.Text)
	for _, word := range []string{"greylist", "graylist", "grey-list", "gray-list", "grey list", "gray list"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return r.Status == "4.7.1" && (strings.HasPrefix(text, "450") || strings.HasPrefix(text, "451"))
}
