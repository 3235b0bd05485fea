package explain

import (
	"slices"
	"strings"

	"postrider/internal/wire/steps"
)

// remote asks qmail-remote where the mail goes.
func (e *explainer) remote(s *section, sender, recipient string) {
	policy := ""
	_, domain := split(recipient)
	if on, err := e.dir.Int("mtasts", 0); err == nil && on > 0 {
		policy = e.mtaPolicy(s, domain)
	}
	a, err := e.askAs("qmail-remote", sender, recipient, e.dnsWord(), policy)
	if err != nil {
		s.say("remote", err.Error(), steps.Place{})
		s.end(Unseen, "")
		return
	}
	s.take(a)
	for _, act := range a.Acts {
		switch act.Kind {
		case "tls":
			s.say("tls", act.Text, act.Place)
		case "send":
			s.say("address", act.Text, act.Place)
		}
		if effect := act.Kind + " " + act.Text; !slices.Contains(s.Effects, effect) {
			s.Effects = append(s.Effects, effect)
		}
	}
	if !e.dns {
		s.say("address", "name servers are not asked", steps.Place{})
	}
	text := strings.TrimSuffix(a.Text, "\n")
	switch a.Class {
	case steps.Goes:
		s.end(Sent, "")
	case steps.Fails:
		s.end(Bounced, text)
	case steps.Waits:
		s.end(Deferred, text)
	default:
		s.end(Unseen, text)
	}
}

func (e *explainer) dnsWord() string {
	if e.dns {
		return "dns"
	}
	return ""
}

// mtaPolicy is the MTA-STS policy of a domain that qmail-mtasts keeps.
func (e *explainer) mtaPolicy(s *section, domain string) (policy string) {
	a, err := e.askAs("qmail-mtasts", domain, e.dnsWord())
	if err != nil {
		s.say("mta-sts", "the policy of "+domain+" cannot be seen: "+err.Error(), steps.Place{})
		return ""
	}
	s.take(a)
	for _, act := range a.Acts {
		if act.Kind == "policy" {
			policy = act.Text
		}
	}
	return policy
}
