package qmailremote

import (
	"net/netip"
	"strconv"
	"strings"

	"postrider/internal/resolver"
	"postrider/internal/smtpwire"
	"postrider/internal/wire/spawn"
)

// Classes of reports (spec 5.1). Bounces, logs and the programs that read them
// know these texts: they are interface data (spec 5.2).
const (
	accepted  = 'K' // of the message
	deferred  = 'Z'
	failed    = 'D'
	rcptTaken = 'r' // of a recipient
	rcptLater = 's'
	rcptNever = 'h'
)

// report is one report: what happened and how to tell it, in lines.
type report struct {
	class byte
	text  string
	// crowded: a recipient that was refused only because others were taken.
	crowded bool
	// passedOn: the server knows what the sender wants to hear of a recipient.
	passedOn bool
	// trouble is what it says of the destination.
	trouble spawn.Trouble
	// ours: it is trouble of this host, and no other was asked.
	ours bool
	// unwelcome: it was refused because of the address that we come from.
	unwelcome bool
	// tls: for want of TLS no mail was sent.
	tls bool
	// never: so it will be at every attempt; the enhanced code without its
	// class.
	never string
	// flaw is what it says of the server's TLS.
	flaw flaw
}

// outcome is what became of a message at one destination: a report for the
// message and, as far as the server spoke about them, one for each recipient.
type outcome struct {
	message    report
	recipients []report // empty, or one for each recipient
	hosts      string   // where mail to the destination goes, as far as that is known
}

// whole is an outcome in which no recipient was spoken about.
func whole(r *report) outcome { return outcome{message: *r} }

// forRecipient joins the reports for recipient i into the one that counts for
// it: its own refusal decides; what became of the message is added unless it
// went better for others (spec 3.3).
func (o outcome) forRecipient(i int) report {
	if i >= len(o.recipients) {
		return o.message
	}
	r := o.recipients[i]
	switch {
	case r.class == rcptTaken && r.text != "":
		return report{class: o.message.class, text: r.text, passedOn: r.passedOn}
	case r.class == rcptTaken:
		joined := o.message
		joined.passedOn = r.passedOn
		return joined
	case r.class == rcptNever && o.message.class == failed:
		return report{class: failed, text: r.text + o.message.text}
	case r.class == rcptNever:
		return report{class: failed, text: r.text}
	case o.message.class != accepted:
		return report{class: deferred, text: r.text + o.message.text}
	}
	return report{class: deferred, text: r.text}
}

// crowded lists the recipients that a further transaction may reach.
func (o outcome) crowded() []int {
	var places []int
	for i, r := range o.recipients {
		if r.crowded {
			places = append(places, i)
		}
	}
	return places
}

// fold takes over what became of the recipients at the given places in a
// further transaction. Each of its rounds settles at least the first of them.
func (o *outcome) fold(next outcome, places []int) {
	if o.message.text == "" && next.message.class == accepted {
		o.message = next.message
	}
	for i, at := range places {
		r := next.forRecipient(i)
		switch {
		case i < len(next.recipients) && next.recipients[i].crowded && next.message.class == accepted:
			continue // for the next round
		case r.class == accepted:
			r.class = rcptTaken
		case r.class == failed:
			r.class = rcptNever
		default:
			r.class = rcptLater
		}
		o.recipients[at] = r
	}
}

func badInvocation() *report {
	return &report{class: failed, text: "I (qmail-remote) was invoked improperly. (#5.3.5)\n"}
}

func noHome() *report {
	return &report{class: deferred, text: "Unable to switch to home directory. (#4.3.0)\n"}
}

func noControls() *report {
	return &report{class: deferred, text: "Unable to read control files. (#4.3.0)\n"}
}

func noMemory() *report {
	return &report{class: deferred, text: "Out of memory. (#4.3.0)\n"}
}

func noResources() *report {
	return &report{class: deferred, text: "System resources temporarily unavailable. (#4.3.0)\n", ours: true}
}

func unreadable() *report {
	return &report{class: deferred, text: "Unable to read message. (#4.3.0)\n"}
}

func badRoute(file string, err error) *report {
	return &report{class: deferred, text: "Unable to use control/" + file + ": " + printable(err.Error()) + ". (#4.3.5)\n"}
}

func dnsTrouble() *report {
	return &report{class: deferred, text: "Sorry, I couldn't find any host by that name. (#4.1.2)\n", trouble: spawn.Unreachable}
}

// noHost tells a name that does not exist from one nobody could say.
func noHost(host string, err error) *report {
	if !resolver.IsAnswer(err) {
		return dnsTrouble()
	}
	return &report{class: failed, text: "Sorry, I couldn't find any host named " + printable(host) + ". (#5.1.2)\n"}
}

func noExchanger() *report {
	return &report{class: failed, text: "Sorry, I couldn't find a mail exchanger or IP address. (#5.4.4)\n"}
}

func bestIsMe() *report {
	return &report{class: failed, text: "Sorry. Although I'm listed as a best-preference MX or A for that host,\n" +
		"it isn't in my control/locals file, so I don't treat it as local. (#5.4.6)\n"}
}

func noConnection() *report {
	return &report{class: deferred, text: "Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n", trouble: spawn.Unreachable}
}

func unsendableSender() *report {
	return &report{class: failed, text: "Sorry, the sender address cannot be sent by SMTP. (#5.1.7)\n"}
}

func unsendableRecipient() report {
	return report{class: rcptNever, text: "Sorry, this address cannot be sent by SMTP. (#5.1.3)\n"}
}

func noRecipientLeft() *report {
	return &report{class: failed, text: "Giving up.\n"}
}

// died tells that the connection ended, with what the peer said last. unclear:
// the whole message had been sent, so it may have been accepted (RFC 1047).
func died(ip netip.Addr, unclear bool, said string) *report {
	text := "Connected to " + ip.String() + " but connection died. "
	if unclear {
		text += "Possible duplicate! "
	}
	return &report{class: deferred, text: text + "(#4.4.2)\n" + remoteSaid(said), trouble: troubleOf(said, spawn.Broken)}
}

func badGreeting(ip netip.Addr, said string) *report {
	return &report{class: deferred, text: "Connected to " + ip.String() + " but greeting failed.\n" + remoteSaid(said),
		unwelcome: blamesAddress(said), trouble: troubleOf(said, spawn.Broken)}
}

func nameRejected(ip netip.Addr, said string) *report {
	return &report{class: deferred, text: "Connected to " + ip.String() + " but my name was rejected.\n" + remoteSaid(said),
		unwelcome: blamesAddress(said), trouble: troubleOf(said, spawn.Broken)}
}

func tooLarge(ip netip.Addr, size, limit int64) *report {
	return &report{class: failed, text: ip.String() + " takes messages of at most " + strconv.FormatInt(limit, 10) +
		" bytes; this one has " + strconv.FormatInt(size, 10) + ". (#5.3.4)\n"}
}

func senderRejected(ip netip.Addr, reply smtpwire.Reply) *report {
	return &report{class: refusal(reply), text: "Connected to " + ip.String() + " but sender was rejected.\n" + remoteSaid(reply.Text),
		unwelcome: blamesAddress(reply.Text), trouble: troubleOf(reply.Text, spawn.None)}
}

// recipientRejected is the report for a refused recipient. others: some were
// taken before it, and then a 452 or, from older servers, a 552 means that
// there are too many (RFC 5321 section 4.5.3.1.10).
func recipientRejected(ip netip.Addr, reply smtpwire.Reply, others bool) report {
	r := report{
		class:   rcptLater,
		text:    ip.String() + " does not like recipient.\n" + remoteSaid(reply.Text),
		crowded: others && (reply.Code == 452 || reply.Code == 552),

		unwelcome: blamesAddress(reply.Text),
	}
	if reply.Code >= 500 && !r.crowded {
		r.class = rcptNever
	}
	if !r.crowded {
		r.trouble = troubleOf(reply.Text, spawn.None)
	}
	return r
}

func givingUp(ip netip.Addr) *report {
	return &report{class: failed, text: "Giving up on " + ip.String() + ".\n"}
}

func dataFailed(ip netip.Addr, reply smtpwire.Reply) *report {
	return &report{class: refusal(reply), text: ip.String() + " failed on DATA command.\n" + remoteSaid(reply.Text),
		unwelcome: blamesAddress(reply.Text), trouble: troubleOf(reply.Text, spawn.None)}
}

func messageFailed(ip netip.Addr, reply smtpwire.Reply) *report {
	return &report{class: refusal(reply), text: ip.String() + " failed after I sent the message.\n" + remoteSaid(reply.Text),
		unwelcome: blamesAddress(reply.Text), trouble: troubleOf(reply.Text, spawn.None)}
}

func messageAccepted(ip netip.Addr, reply smtpwire.Reply) *report {
	return &report{class: accepted, text: ip.String() + " accepted message.\n" + remoteSaid(reply.Text)}
}

// refusal is the class of a reply that is no success: permanent only for 5xx.
func refusal(reply smtpwire.Reply) byte {
	if reply.Code >= 500 {
		return failed
	}
	return deferred
}

func remoteSaid(text string) string {
	if text == "" {
		return ""
	}
	return "Remote host said: " + strings.TrimSuffix(text, "\n") + "\n"
}

// printable replaces everything but printable ASCII.
func printable(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}
