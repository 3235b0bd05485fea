package smtpd

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"postrider/internal/fate"
	"postrider/internal/smtpwire"
)

// reply is what a command is answered: a code, an enhanced code (RFC 2034;
// empty where that forbids one) and one or more lines of text.
type reply struct {
	code     int
	enhanced string
	text     string        // lines separated by LF
	hangUp   bool          // the session ends after it
	progress bool          // the command brought a message nearer
	rule     string        // what decided, if that is a policy: a control file, mostly
	wait     time.Duration // the client gets it that much later
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
	replyFlushed      = reply{code: 250, enhanced: "2.0.0", text: "flushed"}
	replyNoop         = reply{code: 250, enhanced: "2.0.0", text: "ok"}
	replySenderOK     = reply{code: 250, enhanced: "2.1.0", text: "ok"}
	replyRcptOK       = reply{code: 250, enhanced: "2.1.5", text: "ok"}
	replyVrfy         = reply{code: 252, enhanced: "2.0.0", text: "send some mail, i'll try my best"}
	replyHelp         = reply{code: 214, enhanced: "2.0.0", text: "postrider, a mail server in qmail's manner: HELO EHLO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT"}
	replyGoAhead      = reply{code: 354, enhanced: "", text: "go ahead"}
	replyMailFirst    = reply{code: 503, enhanced: "5.5.1", text: "MAIL first (#5.5.1)"}
	replyInChunks     = reply{code: 503, enhanced: "5.5.1", text: "the message has begun: BDAT with LAST ends it, RSET drops it (#5.5.1)"}
	replyStartTLS     = reply{code: 220, enhanced: "2.0.0", text: "ready for tls"}
	replyInTLS        = reply{code: 503, enhanced: "5.5.1", text: "this is TLS already (#5.5.1)"}
	replyInMail       = reply{code: 503, enhanced: "5.5.1", text: "not during a mail transaction: RSET drops it (#5.5.1)"}
	replyNoRequireTLS = reply{code: 530, enhanced: "5.7.10", text: "REQUIRETLS needs TLS (#5.7.10)"}
	replyNoTLS        = reply{code: 454, enhanced: "4.3.0", text: "TLS not available now (#4.3.0)"}
	replyNoProxy      = reply{code: 554, enhanced: "5.7.1", text: "sorry, this port is for proxies (#5.7.1)", rule: "proxyhosts", hangUp: true}
	replyAuthOK       = reply{code: 235, enhanced: "2.7.0", text: "ok, go ahead (#2.7.0)"}
	replyVrfyWhom     = reply{code: 501, enhanced: "5.5.4", text: "VRFY needs a name (#5.5.4)"}
	replyRcptFirst    = reply{code: 503, enhanced: "5.5.1", text: "RCPT first (#5.5.1)"}

	// The sentences are those of qmail's AUTH (spec section 6.7), the codes
	// those of RFC 4954.
	replyAuthUnsure    = reply{code: 454, enhanced: "4.7.0", text: "oops, unable to check that now, try again later (#4.7.0)"}
	replyAuthLimited   = reply{code: 454, enhanced: "4.7.0", text: "too many failed logins, try again later (#4.7.0)"}
	replyAuthTooLong   = reply{code: 500, enhanced: "5.5.6", text: "auth input too long (#5.5.6)"}
	replyAuthMalformed = reply{code: 501, enhanced: "5.5.2", text: "malformed auth input (#5.5.2)"}
	replyAuthCanceled  = reply{code: 501, enhanced: "5.0.0", text: "auth exchange canceled (#5.0.0)"}
	replyAuthTwice     = reply{code: 503, enhanced: "5.5.0", text: "you're already authenticated (#5.5.0)"}
	replyAuthInMail    = reply{code: 503, enhanced: "5.5.0", text: "no auth during mail transaction (#5.5.0)"}
	replyNoAuth        = reply{code: 503, enhanced: "5.3.3", text: "auth not available (#5.3.3)"}
	replyAuthType      = reply{code: 504, enhanced: "5.5.4", text: "auth type invalid (#5.5.4)"}
	replyAuthNeeded    = reply{code: 530, enhanced: "5.7.0", text: "Authorization required (#5.7.0)", rule: "submission"}
	replyAuthFailed    = reply{code: 535, enhanced: "5.7.8", text: "authentication failed (#5.7.8)"}
	replyAuthNeedsTLS  = reply{code: 538, enhanced: "5.7.11", text: "auth not available without TLS (#5.7.11)"}
	replyAuthTooMany   = reply{code: 421, enhanced: "4.7.0", text: "too many failed logins, goodbye (#4.7.0)", hangUp: true}

	replyUnimplemented = reply{code: 502, enhanced: "5.5.1", text: "unimplemented (#5.5.1)"}
	replyLineTooLong   = reply{code: 500, enhanced: "5.5.2", text: "line too long (#5.5.2)"}
	replyBadByte       = reply{code: 500, enhanced: "5.5.2", text: "a command line holds printable characters only (#5.5.2)"}
	replyNoArgument    = reply{code: 501, enhanced: "5.5.4", text: "no parameters allowed (#5.5.4)"}
	replyXclientSyntax = reply{code: 501, enhanced: "5.5.4", text: "XCLIENT takes its attributes with their values (#5.5.4)"}
	replyHeloSyntax    = reply{code: 501, enhanced: "5.5.4", text: "that is no host name (#5.5.4)"}

	replyChunkSize = reply{code: 501, enhanced: "5.5.4", text: "BDAT needs a number of octets, and LAST or nothing (#5.5.4)", hangUp: true}
	replyChunkWord = reply{code: 501, enhanced: "5.5.4", text: "behind the number of octets BDAT takes LAST or nothing (#5.5.4)"}
	replyNeedsBdat = reply{code: 503, enhanced: "5.5.1", text: "a message with BODY=BINARYMIME comes by BDAT (#5.5.1)"}
	replyNeedsUTF8 = reply{code: 553, enhanced: "5.6.7", text: "an address that is not in ASCII needs SMTPUTF8 behind MAIL (#5.6.7)"}

	replyBadMailFrom   = reply{code: 553, enhanced: "5.7.1", text: "sorry, your envelope sender is in my badmailfrom list (#5.7.1)", rule: "badmailfrom"}
	replyNotRcptHost   = reply{code: 553, enhanced: "5.7.1", text: "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", rule: "rcpthosts"}
	replyTooManyRcpts  = reply{code: 452, enhanced: "4.5.3", text: "too many recipients, send the rest in another message (#4.5.3)"}
	replyNoRoomForRcpt = reply{code: 452, enhanced: "4.3.1", text: "no room for more recipients now (#4.3.1)"}
	replyHostsUnsure   = reply{code: 451, enhanced: "4.3.0", text: "unable to read my list of allowed rcpthosts (#4.3.0)"}

	replyTooBig     = reply{code: 552, enhanced: "5.3.4", text: "sorry, that message size exceeds my databytes limit (#5.3.4)"}
	replyTooManyHop = reply{code: 554, enhanced: "5.4.6", text: "too many hops, this message is looping (#5.4.6)"}
	replyLongHeader = reply{code: 552, enhanced: "5.3.4", text: "sorry, the header of that message is too long (#5.3.4)"}
	replyLongText   = reply{code: 554, enhanced: "5.6.0", text: "sorry, that message has a line that is too long (#5.6.0)"}
	replyBareLF     = reply{code: 554, enhanced: "5.6.0", text: "message has a bare LF: lines end with CR LF. See https://cr.yp.to/docs/smtplf.html (#5.6.0)"}
	replyBareCR     = reply{code: 554, enhanced: "5.6.0", text: "message has a bare CR: lines end with CR LF (#5.6.0)"}
	replyNoQueue    = reply{code: 451, enhanced: "4.3.0", text: "qqt failure (#4.3.0)"}
	replyNoMilter   = reply{code: 451, enhanced: "4.3.5", text: "the mail filter is not available (#4.3.5)", rule: "milters"}
	replyNoFilter   = reply{code: 451, enhanced: "4.3.5", text: "the mail filter for your address is not available (#4.3.5)"}
	replyQueueFull  = reply{code: 452, enhanced: "4.3.1", text: "the mail queue is full, try again later (#4.3.1)", rule: "queuefull"}
	replyNoRoom     = reply{code: 451, enhanced: "4.3.1", text: "too much mail at once, try again soon (#4.3.1)"}

	replyTimeout       = reply{code: 451, enhanced: "4.4.2", text: "timeout (#4.4.2)", hangUp: true}
	replyTooSlow       = reply{code: 421, enhanced: "4.4.2", text: "the message comes too slowly (#4.4.2)", hangUp: true}
	replySessionOver   = reply{code: 421, enhanced: "4.4.2", text: "this session has lasted too long (#4.4.2)", hangUp: true}
	replyNoControls    = reply{code: 421, enhanced: "4.3.0", text: "unable to read controls (#4.3.0)", hangUp: true}
	replyTooManyConns  = reply{code: 421, enhanced: "4.3.2", text: "too many connections, try again later (#4.3.2)", hangUp: true, rule: "concurrencysmtp"}
	replyTooManyOfIP   = reply{code: 421, enhanced: "4.7.0", text: "too many connections from your address (#4.7.0)", hangUp: true, rule: "concurrencysmtpip"}
	replyShutdown      = reply{code: 421, enhanced: "4.3.2", text: "going down, try again soon (#4.3.2)", hangUp: true}
	replyTooManyCmds   = reply{code: 421, enhanced: "4.7.0", text: "too many commands without mail, goodbye (#4.7.0)", hangUp: true}
	replyTooManyErrors = reply{code: 421, enhanced: "4.7.0", text: "too many errors, goodbye (#4.7.0)", hangUp: true}
	replyTooManyMails  = reply{code: 421, enhanced: "4.5.3", text: "enough messages for one connection, make another one (#4.5.3)", hangUp: true}
	replyRushed        = reply{code: 554, enhanced: "5.5.0", text: "you talked before I greeted you (#5.5.0)", hangUp: true}
	replyBusy          = reply{code: 421, enhanced: "4.3.2", text: "too busy, try again soon (#4.3.2)", hangUp: true}
	replyEarlyTalk     = reply{code: 554, enhanced: "5.5.0", text: "you sent more before I answered (#5.5.0)", hangUp: true}
	replyNotSMTP       = reply{code: 554, enhanced: "5.5.0", text: "this is a mail server (#5.5.0)", hangUp: true}
	replyDenied        = reply{code: 554, enhanced: "5.7.1", text: "sorry, no mail from your address (#5.7.1)", hangUp: true, rule: "tcp.smtp"}
)

// syntaxError is qmail's reply to an address that it does not take, with the
// reason in front of the code.
func syntaxError(why string) reply {
	if why != "" {
		why = ": " + why
	}
	return reply{code: 555, enhanced: "5.5.4", text: "syntax error" + why + " (#5.5.4)"}
}

func greetingReply(greeting string) reply {
	return reply{code: 220, enhanced: "", text: greeting + " ESMTP"}
}

func heloReply(greeting string) reply { return reply{code: 250, enhanced: "", text: greeting} }

// ehloReply lists the extensions: RFC 2920, RFC 1870, RFC 6152, RFC 6531, RFC
// 3030, RFC 3461, RFC 9422, RFC 2034. facts says that the queue takes those of
// RFC 6531 and RFC 3461.
func ehloReply(s *settings, databytes int64, facts bool) reply {
	b := append(make([]byte, 0, 256), s.greeting...)
	b = strconv.AppendInt(append(b, "\nPIPELINING\nSIZE "...), databytes, 10)
	b = append(b, "\n8BITMIME"...)
	if facts {
		b = append(b, "\nSMTPUTF8\nDSN"...)
	}
	b = append(b, "\nCHUNKING\nBINARYMIME\nLIMITS"...)
	if s.maxMail > 0 {
		b = strconv.AppendInt(append(b, " MAILMAX="...), int64(s.maxMail), 10)
	}
	b = strconv.AppendInt(append(b, " RCPTMAX="...), int64(s.maxRcpt), 10)
	return reply{code: 250, text: string(append(b, "\nENHANCEDSTATUSCODES"...))}
}

// chunkReply has the words of RFC 3030 section 4.
func chunkReply(octets int64, small bool) reply {
	return reply{code: 250, enhanced: "2.0.0", text: strconv.FormatInt(octets, 10) + " octets received", progress: !small}
}

func quitReply(greeting string) reply {
	return reply{code: 221, enhanced: "2.0.0", text: greeting, hangUp: true}
}

// acceptedReply keeps the words that senders' logs are searched for.
func acceptedReply(unix int64, id string) reply {
	return reply{code: 250, enhanced: "2.0.0", text: "ok " + strconv.FormatInt(unix, 10) + " qp " + id}
}

// flawReply is the answer to a message with a line end that is none.
func flawReply(flaw smtpwire.Flaw) reply {
	if flaw == smtpwire.BareCR {
		return replyBareCR
	}
	return replyBareLF
}

// inconvertibleReply is the answer to a message of which no lines can be made.
func inconvertibleReply(err error) reply {
	return reply{code: 554, enhanced: "5.6.3", text: "sorry, I cannot make lines of that message: " + err.Error() + " (#5.6.3)"}
}

// queueReply is the answer to a message that the queue did not take.
func queueReply(err error) reply {
	var e *fate.Error
	if !errors.As(err, &e) {
		return replyNoQueue
	}
	r := reply{code: 451, enhanced: e.Status(), text: printable(e.Text)}
	switch {
	case e.Class == fate.Permanent:
		r.code = 554
	case r.enhanced == "4.3.1":
		r.code = 452
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
		return reply{code: 553, enhanced: "5.7.1", text: printable(hard), rule: "RBLSMTPD"}
	}
	return reply{code: 451, enhanced: "4.7.1", text: printable(text), rule: "RBLSMTPD"}
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
