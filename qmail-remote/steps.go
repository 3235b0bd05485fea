package qmailremote

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"postrider/internal/address"
	"postrider/internal/control"
	"postrider/internal/idn"
	"postrider/internal/mtasts"
	"postrider/internal/resolver"
	"postrider/internal/tlspolicy"
	"postrider/internal/wire/steps"
	"postrider/internal/world"
)

// stepsTime is for all that the DNS is asked for one question.
const stepsTime = time.Minute

// stepsMain answers where mail would go (internal/wire/steps). It connects to name
// servers and to nobody else. A question is the envelope sender, a recipient,
// "dns" or "" for whether name servers may be asked, and the MTA-STS policy of the
// recipient's domain as it was fetched, or "".
//
// Of the acts "route" is a relay, "send" an address, in the order in which they are
// tried but for those of one preference, and "tls" what a host must have.
func stepsMain(w world.World) int {
	c := newClient(w, 0)
	defer c.pool.close()
	err := steps.Serve(w.Stdin, w.Stdout, func(question []string) (a steps.Answer) {
		p := &prediction{c: c, a: &a, dir: w.ControlDir()}
		if err := p.parse(question); err != nil {
			a.End(steps.Unknown, err.Error())
			return a
		}
		ctx, cancel := context.WithTimeout(context.Background(), stepsTime)
		defer cancel()
		p.predict(ctx)
		return a
	})
	if err != nil {
		return exitTrouble
	}
	return 0
}

// prediction is what would be done with one message.
type prediction struct {
	c      *client
	a      *steps.Answer
	dir    string // of the control files
	sender address.Address
	domain string
	asks   bool // name servers
	policy mtasts.Policy
}

func (p *prediction) parse(question []string) (err error) {
	if len(question) != 4 {
		return fmt.Errorf("qmail-remote is asked with four fields, not %d", len(question))
	}
	if p.sender, err = address.New(question[0]); err != nil {
		return fmt.Errorf("%q is no address: %w", question[0], err)
	}
	recipient, err := address.New(question[1])
	if err != nil || !sendable(recipient) {
		return fmt.Errorf("%q is no address that mail can be sent to", question[1])
	}
	p.domain = withoutDot(recipient.Domain())
	p.asks = question[2] == "dns"
	if question[3] != "" {
		p.policy, err = mtasts.Parse(question[3])
	}
	return err
}

// known is the policy that the question told.
type known struct{ p mtasts.Policy }

func (k known) policy(string) (mtasts.Policy, error) { return k.p, nil }

// entryAt is where the line of a key stands in a list of keys and values.
func (p *prediction) entryAt(e entry, keyOf func(string) string) steps.Place {
	_, last := control.Dir(p.dir).Where(e.file, func(line string) bool {
		key, _, found := strings.Cut(line, ":")
		return found && keyOf(key) == e.key
	})
	return steps.Place{File: p.dir + "/" + e.file, Line: last}
}

func (p *prediction) predict(ctx context.Context) {
	set, err := p.c.settings()
	if err != nil {
		p.a.Say("remote", steps.Place{}, "the control files cannot be read: %v", err)
		p.end(noControls())
		return
	}
	r, e, err := set.routeEntry(p.sender, p.domain)
	if err != nil {
		p.a.Say("route", p.entryAt(e, routeKey), "the route means nothing: %v", err)
		p.end(badRoute(e.file, err))
		return
	}
	switch {
	case e.file == "":
		p.a.Say("route", steps.Place{}, "there is no route for %s: its mail exchangers count", p.domain)
	case e.exchanger:
		p.a.Say("route", p.entryAt(e, routeKey), "the route for %s is empty: its mail exchangers count", orAllDomains(e.key))
	default:
		at := p.entryAt(e, routeKey)
		p.a.Say("route", at, "the route for %s leads to %s port %d%s", orAllDomains(e.key), r.host(), r.port, r.words())
		p.a.Do("route", fmt.Sprintf("%s:%d%s", r.host(), r.port, r.words()), at)
	}
	if !p.asks {
		p.policyLine(set)
		p.a.End(steps.Goes, "")
		return
	}
	p.addresses(ctx, set, e.file == "" || e.exchanger)
}

func orAllDomains(key string) string {
	if key == "" {
		return "all domains"
	}
	return key
}

// policyLine says what control/tlspolicy has for the domain.
func (p *prediction) policyLine(set *settings) {
	if line := set.tls.For(p.domain).Line; line != "" {
		p.a.Say("tls", p.tlsAt(line), "control/tlspolicy has the line %s", line)
	}
}

// tlsAt is where the line of a policy stands.
func (p *prediction) tlsAt(line string) steps.Place {
	key, _, _ := strings.Cut(line, ":")
	return p.entryAt(entry{file: tlspolicy.File, key: key}, idn.Key)
}

// addresses says where the mail goes, and what a connection must have.
func (p *prediction) addresses(ctx context.Context, set *settings, byDNS bool) {
	if _, literal := parseLiteral(p.domain); byDNS && !literal {
		p.exchangers(ctx, set)
	}
	targets, failed := p.c.targets(ctx, set, p.sender, p.domain)
	if failed != nil {
		p.end(failed)
		return
	}
	slices.SortFunc(targets, func(a, b target) int {
		return cmp.Or(a.pref-b.pref, strings.Compare(a.host, b.host), a.addr.Compare(b.addr))
	})
	p.c.policies = known{p.policy}
	plan := p.c.tlsPlan(ctx, set, mail{sender: p.sender}, p.domain)
	var last *report
	usable := false
	for _, t := range targets {
		where := fmt.Sprintf("%s [%s]:%d", orNone(t.host), t.addr.Addr(), t.addr.Port())
		if p.c.down.skip(t.addr.Addr()) {
			p.a.Say("address", steps.Place{}, "connections to %s time out: it is not tried for a while", where)
		}
		if fault := plan.fault(t); fault != nil {
			p.a.Say("tls", steps.Place{}, "%s is not sent to: %s", where, strings.TrimSuffix(fault.text, "\n"))
			last = fault
			continue
		}
		usable = true
		p.a.Do("send", where+t.words(), steps.Place{})
		p.tls(&plan, t)
	}
	p.policyLine(set)
	if !usable && last != nil {
		p.end(last)
		return
	}
	p.a.End(steps.Goes, "")
}

// exchangers says what the DNS has for the domain.
func (p *prediction) exchangers(ctx context.Context, set *settings) {
	mxs, err := set.dns.MX(ctx, p.domain)
	if err != nil {
		p.a.Say("mx", steps.Place{}, "the DNS has no mail exchangers for %s: %v", p.domain, err)
		return
	}
	mxs = slices.Clone(mxs)
	slices.SortFunc(mxs, func(a, b resolver.MX) int { return cmp.Or(int(a.Pref)-int(b.Pref), strings.Compare(a.Host, b.Host)) })
	for _, mx := range mxs {
		if mx.Host == "" {
			p.a.Say("mx", steps.Place{}, "%s takes no mail: it has a null MX (RFC 7505)", p.domain)
			continue
		}
		p.a.Say("mx", steps.Place{}, "%s is a mail exchanger of %s, with preference %d", mx.Host, p.domain, mx.Pref)
	}
}

// tls says what a connection to a target must have.
func (p *prediction) tls(plan *tlsPlan, t target) {
	if plan.nobodyAsks(t) {
		p.a.Do("tls", "TLS if "+orNone(t.host)+" offers it, nobody asks for more", steps.Place{})
		return
	}
	want := plan.wantFor(t)
	at := steps.Place{}
	if plan.policy.Line != "" && (want.by == plan.asker() || want.level == inPlain) {
		at = p.tlsAt(plan.policy.Line)
	}
	p.a.Do("tls", want.words(orNone(t.host)), at)
}

// words say what a connection to a host must have.
func (w *security) words(host string) string {
	var words string
	switch w.level {
	case ifOffered:
		return "TLS if " + host + " offers it"
	case inPlain:
		return "no TLS with " + host
	case encrypted:
		words = "TLS with " + host + ", whoever it is"
	case byAuthority:
		words = "TLS with " + host + ", with a trusted certificate for " + strings.Join(w.names, " or ")
	case byDNS:
		words = "TLS with " + host + ", with a certificate that its TLSA records are for"
	case byKey:
		words = "TLS with " + host + ", with one of the keys that are named"
	}
	if w.by != "" {
		words += ", for which " + w.by + " asks"
	}
	if w.trial {
		words += ", on trial: mail goes without it too"
	}
	return words
}

// end is how a report would end the delivery, if it stays so.
func (p *prediction) end(r *report) {
	class := steps.Waits
	if r.class == failed {
		class = steps.Fails
	}
	p.a.End(class, strings.TrimSuffix(r.text, "\n"))
}
