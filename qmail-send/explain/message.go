package explain

import (
	"os"
	"path/filepath"
	"strings"

	"postrider/internal/address"
	"postrider/internal/idn"
	"postrider/internal/route"
	"postrider/internal/wire/steps"
)

// message is what is asked about.
type message struct {
	sender, recipient string
	client            string   // empty: a program of this host hands it in
	trail             []string // the addresses here that the mail has been at
}

// maxTrail is how many messages one becomes of another that are followed: the
// forward of a forward is named, and not followed.
const maxTrail = 2

// explain follows a message.
func (e *explainer) explain(m message) *section {
	s := &section{Sender: m.sender, Recipient: m.recipient, Client: m.client, Steps: []step{}}
	door, taken := e.atDoor(s, m)
	if !taken {
		return s
	}
	channel, rewritten := e.route(s, door.recipient)
	if e.forged(s, door) {
		return s
	}
	if channel == route.Remote {
		e.remote(s, m.sender, rewritten)
		return s
	}
	e.local(s, m, door, rewritten)
	return s
}

// entrance is what qmail-smtpd makes of a recipient.
type entrance struct {
	recipient string
	// replies are what it says once qmail-lookup was asked, by what that found; nil:
	// it does not ask.
	replies map[string]string
	at      steps.Place // what has it ask
}

func (d entrance) verified() bool { return d.replies != nil }

// atDoor asks qmail-smtpd. Programs of this host do not pass there.
func (e *explainer) atDoor(s *section, m message) (d entrance, taken bool) {
	d = entrance{recipient: m.recipient}
	if m.client == "" {
		if len(m.trail) == 0 {
			s.say("client", "programs of this host may send to everybody", steps.Place{})
		}
		return d, true
	}
	a, err := e.askAs("qmail-smtpd", m.client, m.sender, m.recipient)
	if err != nil {
		s.say("client", err.Error(), steps.Place{})
		s.end(Unseen, "")
		return d, false
	}
	s.take(a)
	for _, act := range a.Acts {
		switch act.Kind {
		case "recipient":
			d.recipient = act.Text
		case "unknown", "full", "unsure":
			if d.replies == nil {
				d.replies = make(map[string]string)
			}
			d.replies[act.Kind], d.at = act.Text, act.Place
		}
	}
	switch a.Class {
	case steps.Fails:
		s.end(Refused, a.Text)
	case steps.Waits:
		s.end(PutOff, a.Text)
	case steps.Unknown:
		s.end(Unseen, a.Text)
	}
	return d, a.Class == steps.Goes
}

// askAs asks a program as the user that it runs as.
func (e *explainer) askAs(program string, fields ...string) (steps.Answer, error) {
	as, err := e.as(program)
	if err != nil {
		return steps.Answer{}, err
	}
	return e.siblings.ask(program, as, fields...)
}

// route says which way a recipient goes, and why.
func (e *explainer) route(s *section, recipient string) (route.Channel, string) {
	if e.unread != nil {
		s.say("rewriting", "whether it is an address of SRS cannot be seen: "+e.unread.Error(), steps.Place{File: e.file("srssecret")})
	}
	channel, rewritten, why := e.table.Explain(recipient)
	for _, r := range why {
		s.say(aboutRoute[r.File], e.routeWords(r, channel), e.routePlace(r))
	}
	if channel == route.Remote && (len(why) == 0 || why[len(why)-1].File != "virtualdomains") {
		s.say("routing", "the domain is neither in locals nor in virtualdomains: the mail goes to another host", steps.Place{})
	}
	return channel, rewritten
}

var aboutRoute = map[string]string{
	"srssecret": "rewriting", "envnoathost": "rewriting", "percenthack": "rewriting",
	"locals": "routing", "me": "routing", "virtualdomains": "routing",
}

func (e *explainer) routeWords(r route.Reason, channel route.Channel) string {
	switch {
	case r.File == "srssecret":
		return "the address stands for " + r.Address
	case r.File == "envnoathost":
		return "without a domain it is " + r.Address
	case r.File == "percenthack":
		return "by the percent sign it is " + r.Address
	case r.File == "me":
		return "without a file locals, " + r.Key + " is local"
	case r.File == "locals":
		return r.Key + " is local"
	case channel == route.Remote:
		return "the line for " + named(r.Key) + " is empty: the mail goes to another host"
	}
	return "the line for " + named(r.Key) + " makes it " + r.Address + ", here"
}

func named(key string) string {
	if key == "" {
		return "all domains"
	}
	return key
}

func (e *explainer) file(name string) string { return filepath.Join(string(e.dir), name) }

// routePlace is where the entry stands that a step of routing went by.
func (e *explainer) routePlace(r route.Reason) steps.Place {
	at := steps.Place{File: e.file(r.File)}
	switch r.File {
	case "virtualdomains": // of equal ones the last counts
		_, at.Line = e.dir.Where("virtualdomains", func(line string) bool {
			key, _, found := strings.Cut(line, ":")
			return found && idn.AddressKey(key) == r.Key
		})
	case "locals", "percenthack":
		at.Line, _ = e.dir.Where(r.File, func(line string) bool { return idn.Key(line) == r.Key })
	case "me":
		at.Line = 1
	case "envnoathost":
		at.Line = 1
		if _, err := os.Lstat(at.File); err != nil {
			at.File = e.file("me")
		}
	}
	return at
}

// forged tells whether qmail-lookup would refuse an address of SRS, as one that is
// too old or not of this host.
func (e *explainer) forged(s *section, d entrance) bool {
	ours := e.table.SRS()
	if !d.verified() || ours == nil || !ours.IsOurs(d.recipient) {
		return false
	}
	_, err := ours.Reverse(d.recipient)
	if err == nil {
		return false
	}
	s.say("mailbox", "the address of SRS does not count: "+err.Error(), steps.Place{File: e.file("srssecret")})
	s.end(Refused, d.replies["unknown"])
	return true
}

// split is an address in its parts.
func split(rewritten string) (local, domain string) {
	at := strings.LastIndexByte(rewritten, '@')
	return rewritten[:at], rewritten[at+1:]
}

// sendable is whether an address may stand in an envelope.
func sendable(recipient string) bool {
	a, err := address.New(recipient)
	return err == nil && !a.IsNull()
}
