package explain

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"postrider/internal/accounts"
	"postrider/internal/priv"
	"postrider/internal/wire/steps"
)

// local follows a message that stays here.
func (e *explainer) local(s *section, m message, d entrance, rewritten string) {
	local, domain := split(rewritten)
	if local == "" {
		s.end(Discarded, "The address has no local part.")
		return
	}
	if slices.Contains(m.trail, rewritten) {
		s.say("loop", "the mail has been at "+rewritten+" before", steps.Place{})
		s.end(Bounced, "This message is looping: it already has my Delivered-To line. (#5.4.6)")
		return
	}
	r, isAlias, known := e.account(s, local, d)
	if !known {
		return
	}
	if d.verified() && !isAlias && !e.verify(s, d, r, local) {
		return
	}
	m.trail = append(slices.Clone(m.trail), rewritten)
	e.mailbox(s, m, r, local, domain)
}

// verify asks qmail-lookup whether there is a mailbox.
func (e *explainer) verify(s *section, d entrance, r accounts.Recipient, local string) bool {
	as, err := e.lookupAs(r)
	var a steps.Answer
	if err == nil {
		a, err = e.siblings.ask("qmail-lookup", as, r.User, number(r.UID), number(r.GID), r.Home, r.Dash, r.Ext, e.delivery)
	}
	if err != nil {
		s.say("lookup", err.Error(), steps.Place{})
		return true
	}
	switch {
	case a.Class == steps.Goes && !e.escaped(local):
		s.say("lookup", "qmail-lookup knows the mailbox, or may not look there", steps.Place{})
		return true
	case a.Class == steps.Waits:
		s.say("lookup", "qmail-lookup cannot tell: "+a.Text, d.at)
		s.end(PutOff, d.replies["unsure"])
	case len(a.Acts) > 0 && a.Acts[0].Kind == "full":
		s.say("lookup", "qmail-lookup says that the mailbox is full", d.at)
		s.end(Refused, d.replies["full"])
	default:
		s.say("lookup", "qmail-lookup says that there is no such mailbox", d.at)
		s.end(Refused, d.replies["unknown"])
	}
	return false
}

// escaped tells whether a local part passes over aliases, which only an alias may
// say.
func (e *explainer) escaped(local string) bool {
	_, rest, err := e.aliases.Look(local)
	return err == nil && rest != local
}

func number(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// lookupAs is as whom qmail-lookup looks into a home: as itself, or as the user
// whose domains qmail-vlookup looks into.
func (e *explainer) lookupAs(r accounts.Recipient) (identity, error) {
	domains, err := e.as("qmail-vlookup")
	if err == nil && domains != nil && domains.UID == r.UID {
		return domains, nil
	}
	return e.as("qmail-lookup")
}

// mailbox asks qmail-local what the user's file says.
func (e *explainer) mailbox(s *section, m message, r accounts.Recipient, local, domain string) {
	as, err := e.userAs(r)
	var a steps.Answer
	if err == nil {
		a, err = e.siblings.ask("qmail-local", as, r.User, r.Home, local, r.Dash, r.Ext, domain, m.sender, e.delivery)
	}
	if err != nil {
		s.say("mailbox", "what the files of "+r.User+" say cannot be seen: "+err.Error(), steps.Place{})
		s.end(Unseen, "")
		return
	}
	s.take(a)
	sender := m.sender
	var forwards []string
	for _, act := range a.Acts {
		switch act.Kind {
		case "sender":
			sender = act.Text
			continue
		case "forward":
			forwards = append(forwards, act.Text)
		}
		s.Effects = append(s.Effects, act.Kind+" "+act.Text+" as "+r.User)
		s.say("does", act.Kind+" "+act.Text+" as "+r.User, act.Place)
	}
	switch a.Class {
	case steps.Goes:
		s.end(Delivered, "")
	case steps.Fails:
		s.end(Bounced, strings.TrimSuffix(a.Text, "\n"))
		return
	default:
		s.end(Deferred, strings.TrimSuffix(a.Text, "\n"))
		return
	}
	e.follow(s, m, sender, forwards)
}

// userAs is as whom a user's files are looked at.
func (e *explainer) userAs(r accounts.Recipient) (identity, error) {
	switch {
	case e.asRoot:
		return &priv.Identity{UID: r.UID, GID: r.GID, Groups: []uint32{}}, nil
	case int(r.UID) == os.Geteuid():
		return nil, nil
	}
	return nil, errRights
}

// maxForwards is how many forwards of a message are followed.
const maxForwards = 100

// follow explains forwards. Of a forward's forwards only those are looked at that
// lead back.
func (e *explainer) follow(s *section, m message, sender string, forwards []string) {
	for _, f := range forwards {
		if len(s.Forwards) == maxForwards {
			s.say("forward", "there are more, which are not followed", steps.Place{})
			return
		}
		if !sendable(f) {
			s.say("forward", f+" is no address: the queue does not take it", steps.Place{})
			s.end(Deferred, "The forward is no address.")
			continue
		}
		if len(m.trail) < maxTrail {
			s.Forwards = append(s.Forwards, e.explain(message{sender: sender, recipient: f, trail: m.trail}))
			continue
		}
		if _, rewritten, _ := e.table.Explain(f); slices.Contains(m.trail, rewritten) {
			s.say("loop", "the forward leads back to "+rewritten+", where the mail has been: it will bounce there", steps.Place{})
		}
	}
}
