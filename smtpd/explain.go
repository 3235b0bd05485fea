package smtpd

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"

	"postrider/internal/address"
	"postrider/internal/control"
	"postrider/internal/idn"
	"postrider/internal/rcpthosts"
	"postrider/internal/tcprules"
	"postrider/internal/wire/steps"
	"postrider/internal/world"
)

// door answers what a client would be told (internal/wire/steps). A question is
// the client's address, the envelope sender and a recipient. MAIL and RCPT are
// carried out as for a client, but nobody is asked: neither qmail-lookup nor
// qmail-policy nor a milter.
//
// Of the acts "recipient" is the recipient as it would be queued. "unknown", "full"
// and "unsure" are there if qmail-lookup would be asked for it: what would be said
// after its answer.
type door struct {
	service  *service
	dir      control.Dir
	settings *settings
	queue    queue
}

// explain serves questions on descriptors 0 and 1.
func explain(w world.World, s *service) int {
	d := &door{service: s, dir: control.Dir(w.ControlDir()), queue: &programs{world: w}}
	var unreadable error
	d.settings, unreadable = readSettings(d.dir, true)
	err := steps.Serve(w.Stdin, w.Stdout, func(question []string) (a steps.Answer) {
		switch {
		case unreadable != nil:
			a.Say("smtpd", steps.Place{}, "the control files cannot be read: %v", unreadable)
			a.End(steps.Waits, replyNoControls.words())
		case len(question) != 3:
			a.End(steps.Unknown, "qmail-smtpd is asked for a client, a sender and a recipient")
		default:
			d.answer(&a, question[0], question[1], question[2])
		}
		return a
	})
	if err != nil {
		return exitBroken
	}
	return exitOK
}

// words are a reply as a client sees it.
func (r reply) words() string {
	return strings.TrimSuffix(strings.ReplaceAll(string(r.append(nil)), "\r\n", "\n"), "\n")
}

func (d *door) answer(a *steps.Answer, client, sender, recipient string) {
	ip, err := netip.ParseAddr(client)
	if err != nil {
		a.End(steps.Unknown, client+" is no IP address")
		return
	}
	from, err := address.New(sender)
	if err != nil {
		a.End(steps.Unknown, fmt.Sprintf("%q is no address: %v", sender, err))
		return
	}
	to, err := address.New(recipient)
	if err != nil || to.IsNull() {
		a.End(steps.Unknown, fmt.Sprintf("%q is no address", recipient))
		return
	}
	s, refused := d.admit(a, ip)
	if refused.code == 0 {
		refused = d.mail(a, s, from)
	}
	if refused.code == 0 {
		refused = d.rcpt(a, s, to)
	}
	if !refused.ok() {
		class := steps.Waits
		if refused.code >= 500 {
			class = steps.Fails
		}
		a.End(class, refused.words())
		return
	}
	a.End(steps.Goes, refused.words())
}

// place is where a control file stands that decides.
func (d *door) place(name string, line int) steps.Place {
	at := steps.Place{File: string(d.dir) + "/" + name, Line: line}
	if _, err := os.Lstat(at.File); errors.Is(err, fs.ErrNotExist) {
		return steps.Place{} // what holds without it decides
	}
	return at
}

// listed is the place of an entry of a list that is compared by key.
func (d *door) listed(name, key string) steps.Place {
	line, _ := d.dir.Where(name, func(line string) bool { return idn.AddressKey(line) == key })
	return d.place(name, line)
}

// admit is what the rules say of a client.
func (d *door) admit(a *steps.Answer, ip netip.Addr) (*session, reply) {
	name, rule, found, err := d.settings.rules.Find(tcprules.Client{IP: ip})
	if err != nil {
		a.Say("client", d.place(d.settings.rules.File(), 0), "the rules cannot be read: %v", err)
		return nil, replyNoControls
	}
	if !found {
		a.Say("client", steps.Place{}, "no rule of control/tcp.smtp is for %s: it may connect", ip)
	} else {
		line, _ := d.dir.Where("tcp.smtp", func(line string) bool { return tcprules.IsFor(line, name) })
		if d.settings.rules.File() != "tcp.smtp" {
			line = 0
		}
		a.Say("client", d.place(d.settings.rules.File(), line), "the rule of %s is for %s: %s", orAll(name), ip, ruleWords(rule))
	}
	if rule.Deny {
		return nil, replyDenied
	}
	quiet := *d.settings
	s := &session{service: d.service, settings: &quiet, queue: d.queue, client: ip.Unmap()}
	remote := netip.AddrPortFrom(ip.Unmap(), 0)
	s.peer = newPeer(variables(rule, remote, netip.AddrPort{}, d.settings))
	d.unasked(a, s)
	quiet.checks, quiet.milters, quiet.badHelo = checks{}, false, nil
	return s, reply{}
}

func orAll(name string) string {
	if name == "" {
		return "all clients"
	}
	return name
}

// ruleWords are what a rule does. What it sets is the administrator's, and no
// secret: programs get it as their environment.
func ruleWords(rule tcprules.Decision) string {
	words := []string{"allow"}
	if rule.Deny {
		words[0] = "deny"
	}
	rule.Items(func(item string, set bool) {
		if !set {
			item = "without " + item
		}
		words = append(words, item)
	})
	return strings.Join(words, ", ")
}

// unasked names what a client is judged by besides.
func (d *door) unasked(a *steps.Answer, s *session) {
	c := s.peer.exemption.or(s.settings.checks)
	for _, check := range []struct {
		file, text string
		applies    bool
	}{
		{"badhelo", "a client that greets with a name in there is refused", len(s.settings.badHelo) > 0},
		{"dnsbllist", "lists in the DNS are asked about the client", len(c.lists) > 0 && !s.peer.relay},
		{"checkrdns", "the name of the client's address is looked up", c.rdns > rdnsNote && !s.peer.relay},
		{"spfbehavior", "SPF is asked whether the client may send for the sender", c.spf > 0 && !s.peer.relay},
		{"greylist", "a client that is new is made to try again", c.grey > 0 && !s.peer.relay},
		{"milters", "filters are asked", s.settings.milters && !s.peer.noMilters},
	} {
		if check.applies {
			a.Say("unasked", d.place(check.file, 0), "%s: not tried here", check.text)
		}
	}
	if s.peer.filter != "" {
		a.Say("unasked", steps.Place{}, "the message passes the program %s, as the rule says: not tried here", s.peer.filter)
	}
}

func (d *door) mail(a *steps.Answer, s *session, from address.Address) reply {
	argument := "FROM:<" + from.Quoted() + ">"
	if !isASCII(from.String()) {
		argument += " SMTPUTF8"
	}
	r := s.mail(argument)
	if !r.ok() {
		a.Say("sender", steps.Place{}, "%s is refused", orNull(from))
		return r
	}
	if key, bad := s.settings.badMailFrom.Find(from); bad {
		a.Say("sender", d.listed("badmailfrom", key), "%s is in badmailfrom: each recipient is refused", orNull(from))
	}
	return reply{}
}

func orNull(from address.Address) string {
	if from.IsNull() {
		return "the null sender"
	}
	return from.String()
}

func (d *door) rcpt(a *steps.Answer, s *session, to address.Address) reply {
	s.utf8 = s.utf8 || !isASCII(to.String())
	r := s.rcpt("TO:<" + to.Quoted() + ">")
	d.recipient(a, s, to, r)
	if !r.ok() {
		return r
	}
	if queued := s.envelope[strings.LastIndex(string(s.envelope), "\x00T")+2 : len(s.envelope)-1]; string(queued) != "" {
		a.Do("recipient", string(queued), steps.Place{})
	}
	if s.settings.mailboxes.Asks(s.peer.relay) {
		at := d.place("verifyrcpt", 0)
		a.Do("unknown", replyNoMailbox.words(), at)
		a.Do("full", replyMailboxFull.words(), at)
		a.Do("unsure", replyRcptUnsure.words(), at)
	}
	return r
}

// recipient says why a recipient is taken or not.
func (d *door) recipient(a *steps.Answer, s *session, to address.Address, r reply) {
	if r.rule == replyBadMailFrom.rule {
		return // said of the sender
	}
	if list, is := map[string]interface {
		Find(address.Address) (string, bool)
	}{"badmailto": s.settings.badMailTo, "badrcptto": s.settings.badRcptTo}[r.rule]; is {
		whole := to
		if !to.HasDomain() {
			if with, err := address.New(to.String() + "@" + s.settings.noAtHost); err == nil {
				whole = with
			}
		}
		key, _ := list.Find(whole)
		a.Say("recipient", d.listed(r.rule, key), "%s is in %s", to, r.rule)
		return
	}
	if !r.ok() && r.rule != replyNotRcptHost.rule {
		a.Say("recipient", steps.Place{}, "%s is refused", to)
		return
	}
	if s.peer.relay {
		text := "the client may relay: RELAYCLIENT is set"
		if s.peer.relaySuffix != "" {
			text += fmt.Sprintf(", and %q is put behind the recipient", s.peer.relaySuffix)
		}
		a.Say("recipient", steps.Place{}, "%s", text)
		return
	}
	if to, err := s.localLiteral(to); err == nil {
		d.hosts(a, s.settings.hosts, to)
	}
}

// hosts says by what entry mail is taken.
func (d *door) hosts(a *steps.Answer, hosts *rcpthosts.Hosts, to address.Address) {
	takes, why, err := hosts.Find(to)
	hacked := ""
	if why.Hacked {
		hacked = ", behind the percent sign,"
	}
	switch {
	case err != nil:
		a.Say("recipient", d.place("rcpthosts", 0), "it cannot be told: %v", err)
	case !takes:
		a.Say("recipient", d.place("rcpthosts", 0), "the domain of %s%s is not one that mail is taken for, and the client may not relay", to, hacked)
	case why.File == "":
		a.Say("recipient", steps.Place{}, "%s has no domain: mail for it is taken", to)
	default:
		line, _ := d.dir.Where(why.File, func(line string) bool { return idn.Key(line) == why.Key })
		a.Say("recipient", d.place(why.File, line), "%s%s is in %s: mail for it is taken", why.Key, hacked, why.File)
	}
}
