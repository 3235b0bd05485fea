package smtpd

import (
	"errors"
	"strconv"
	"strings"

	"postrider/internal/fate"
	"postrider/internal/smtpwire"
)

// reply is what a command is answered: a code, an enhanced code (RFC 2034;
// empty where that forbids one) and one or more lines of text.
type reply struct {
	code     int
	enhanced string
	text     string // lines separated by LF
	hangUp   bool   // the session ends after it
}

// ok reports whether the command was carried out.
func (r reply) ok() bool { return r.code < 400 }

// append appends the reply as it goes over the wire.
func (r reply) append(b []byte) []byte {
	for text, more := r.text, true; more; {
		var line string
		line, text, more = strings.Cut(text, "\n")
		b = strconv.AppendInt(b, int64(r.code), 10)
		if more {
			b = append(b, '-')
		} else {
			b = append(b, ' ')
		}
		if r.enhanced != "" {
			b = append(append(b, r.enhanced...), ' ')
		}
		b = append(append(b, line...), '\r', '\n')
	}
	return b
}

// hangingUp returns r as the last reply of a session.
func (r reply) hangingUp() reply {
	r.hangUp = true
	return r
}

// The sentences are qmail's own where qmail has one (spec sections 6.2, 1.3);
// log analysers and senders' postmasters know them.
var (
	replyFlushed   = reply{250, "2.0.0", "flushed", false}
	replyNoop      = reply{250, "2.0.0", "ok", false}
	replySenderOK  = reply{250, "2.1.0", "ok", false}
	replyRcptOK    = reply{250, "2.1.5", "ok", false}
	replyVrfy      = reply{252, "2.0.0", "send some mail, i'll try my best", false}
	replyHelp      = reply{214, "2.0.0", "postrider, a mail server in qmail's manner: HELO EHLO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT", false}
	replyGoAhead   = reply{354, "", "go ahead", false}
	replyMailFirst = reply{503, "5.5.1", "MAIL first (#5.5.1)", false}
	replyRcptFirst = reply{503, "5.5.1", "RCPT first (#5.5.1)", false}

	replyUnimplemented = reply{502, "5.5.1", "unimplemented (#5.5.1)", false}
	replyLineTooLong   = reply{500, "5.5.2", "line too long (#5.5.2)", false}
	replyBadByte       = reply{500, "5.5.2", "a command line holds printable characters only (#5.5.2)", false}
	replyNoArgument    = reply{501, "5.5.4", "no parameters allowed (#5.5.4)", false}
	replyHeloSyntax    = reply{501, "5.5.4", "that is no host name (#5.5.4)", false}

	replyBadMailFrom   = reply{553, "5.7.1", "sorry, your envelope sender is in my badmailfrom list (#5.7.1)", false}
	replyNotRcptHost   = reply{553, "5.7.1", "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", false}
	replyTooManyRcpts  = reply{452, "4.5.3", "too many recipients, send the rest in another message (#4.5.3)", false}
	replyNoRoomForRcpt = reply{452, "4.3.1", "no room for more recipients now (#4.3.1)", false}
	replyHostsUnsure   = reply{451, "4.3.0", "unable to read my list of allowed rcpthosts (#4.3.0)", false}

	replyTooBig     = reply{552, "5.3.4", "sorry, that message size exceeds my databytes limit (#5.3.4)", false}
	replyTooManyHop = reply{554, "5.4.6", "too many hops, this message is looping (#5.4.6)", false}
	replyBareLF     = reply{554, "5.6.0", "message has a bare LF: lines end with CR LF. See https://cr.yp.to/docs/smtplf.html (#5.6.0)", false}
	replyBareCR     = reply{554, "5.6.0", "message has a bare CR: lines end with CR LF (#5.6.0)", false}
	replyNoQueue    = reply{451, "4.3.0", "qqt failure (#4.3.0)", false}
	replyNoFilter   = reply{451, "4.3.5", "the mail filter for your address is not available (#4.3.5)", false}
	replyNoRoom     = reply{451, "4.3.1", "too much mail at once, try again soon (#4.3.1)", false}

	replyTimeout      = reply{451, "4.4.2", "timeout (#4.4.2)", true}
	replySessionOver  = reply{421, "4.4.2", "this session has lasted too long (#4.4.2)", true}
	replyNoControls   = reply{421, "4.3.0", "unable to read controls (#4.3.0)", true}
	replyTooManyConns = reply{421, "4.3.2", "too many connections, try again later (#4.3.2)", true}
	replyTooManyOfIP  = reply{421, "4.7.0", "too many connections from your address (#4.7.0)", true}
	replyShutdown     = reply{421, "4.3.2", "going down, try again soon (#4.3.2)", true}
	replyTooManyCmds  = reply{421, "4.7.0", "too many commands without mail, goodbye (#4.7.0)", true}
	replyBusy         = reply{421, "4.3.2", "too busy, try again soon (#4.3.2)", true}
	replyEarlyTalk    = reply{554, "5.5.0", "you sent more before I answered (#5.5.0)", true}
	replyNotSMTP      = reply{554, "5.5.0", "this is a mail server (#5.5.0)", true}
	replyDenied       = reply{554, "5.7.1", "sorry, no mail from your address (#5.7.1)", true}
)

// syntaxError is qmail's reply to an address that it does not take, with the
// reason in front of the code.
func syntaxError(why string) reply {
	if why != "" {
		why = ": " + why
	}
	return reply{555, "5.5.4", "syntax error" + why + " (#5.5.4)", false}
}

func greetingReply(greeting string) reply {
	return reply{220, "", greeting + " ESMTP", false}
}

func heloReply(greeting string) reply { return reply{250, "", greeting, false} }

// ehloReply lists the extensions: RFC 2920, RFC 1870, RFC 6152, RFC 2034.
func ehloReply(greeting string, databytes int64) reply {
	return reply{250, "", greeting + "\nPIPELINING\nSIZE " + strconv.FormatInt(databytes, 10) +
		"\n8BITMIME\nENHANCEDSTATUSCODES", false}
}

func quitReply(greeting string) reply { return reply{221, "2.0.0", greeting, true} }

// acceptedReply keeps the words that senders' logs are searched for.
func acceptedReply(unix int64, id string) reply {
	return reply{250, "2.0.0", "ok " + strconv.FormatInt(unix, 10) + " qp " + id, false}
}

// flawReply is the answer to a message with a line end that is none.
func flawReply(flaw smtpwire.Flaw) reply {
	if flaw == smtpwire.BareCR {
		return replyBareCR
	}
	return replyBareLF
}

// queueReply is the answer to a message that the queue did not take.
func queueReply(err error) reply {
	var e *fate.Error
	if !errors.As(err, &e) {
		return replyNoQueue
	}
	r := reply{451, e.Status(), printable(e.Text), false}
	if e.Class == fate.Permanent {
		r.code = 554
	}
	if r.text == "" {
		r.text = "qq trouble (#" + r.enhanced + ")"
	}
	return r
}

// refusedReply is rblsmtpd's answer for a client whose rule sets RBLSMTPD:
// temporary, or permanent if the text begins with "-" (spec section 6.5).
func refusedReply(text string) reply {
	if hard, found := strings.CutPrefix(text, "-"); found {
		return reply{553, "5.7.1", printable(hard), false}
	}
	return reply{451, "4.7.1", printable(text), false}
}

// printable makes one line of ASCII of a text that an administrator or a
// program of his wrote.
func printable(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}
