package show

import (
	"strings"

	"postrider/internal/control"
)

// places knows which recipients are local (spec section 2.2).
type places struct {
	locals, percentHack map[string]bool // domains in lower case
	virtual             map[string]string
	envNoAtHost         string
}

func readPlaces(dir control.Dir) (p places, err error) {
	locals, present, err := dir.List("locals")
	if err != nil {
		return places{}, err
	}
	if !present {
		me, err := dir.Line("me", "")
		if err != nil {
			return places{}, err
		}
		locals = []string{me}
	}
	percentHack, _, err := dir.List("percenthack")
	if err != nil {
		return places{}, err
	}
	p.locals, p.percentHack = setOf(locals), setOf(percentHack)
	if p.virtual, _, err = dir.Map("virtualdomains"); err != nil {
		return places{}, err
	}
	p.envNoAtHost, err = dir.LineOrMe("envnoathost", "envnoathost")
	return p, err
}

func setOf(domains []string) map[string]bool {
	set := make(map[string]bool, len(domains))
	for _, d := range domains {
		set[strings.ToLower(d)] = true
	}
	return set
}

// of returns "local" or "remote", and the recipient as the delivery has it.
func (p places) of(recipient string) (where, shown string) {
	at := strings.LastIndexByte(recipient, '@')
	if at < 0 {
		at = len(recipient)
		recipient += "@" + p.envNoAtHost
	}
	for p.percentHack[strings.ToLower(recipient[at+1:])] {
		percent := strings.LastIndexByte(recipient[:at], '%')
		if percent < 0 {
			break
		}
		recipient = recipient[:percent] + "@" + recipient[percent+1:at]
		at = percent
	}
	domain := strings.ToLower(recipient[at+1:])
	if p.locals[domain] {
		return "local", recipient
	}
	if prepend := p.virtualUser(strings.ToLower(recipient), domain); prepend != "" {
		return "local", prepend + "-" + recipient
	}
	return "remote", recipient
}

// virtualUser finds the line of virtualdomains for an address: its own, its
// domain's, that of each suffix which begins with a dot, or the empty one.
func (p places) virtualUser(address, domain string) string {
	if user, found := p.virtual[address]; found {
		return user
	}
	if user, found := p.virtual[domain]; found {
		return user
	}
	for domain != "" {
		dot := strings.IndexByte(domain[1:], '.')
		if dot < 0 {
			break
		}
		domain = domain[1+dot:]
		if user, found := p.virtual[domain]; found {
			return user
		}
	}
	return p.virtual[""]
}
