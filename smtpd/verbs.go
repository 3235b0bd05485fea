package smtpd

import "strings"

// state is where a session is between two commands.
type state int

const (
	ready   state = iota // no transaction
	mail                 // sender known, no recipient accepted
	rcpt                 // at least one recipient accepted
	chunks               // BDAT was accepted: more of it is to come
	message              // 354 was sent: message text follows, no commands
	upgrade              // 220 was sent: a TLS handshake follows
	over                 // nothing more is read

	commandStates = message // states in which commands are read: those before
)

func (s state) String() string {
	return [...]string{"ready", "mail", "rcpt", "chunks", "message", "upgrade", "over"}[s]
}

// verb is one row of the command table, which is the dispatcher.
type verb struct {
	name string
	// illegal holds the reply in states in which the verb is refused; a zero
	// reply means that it is legal there.
	illegal [commandStates]reply
	// bare verbs take no argument.
	bare bool
	// last verbs end a pipeline group (RFC 2920 section 3.1) and what the
	// client sends too early would be message text: it may neither be run as
	// commands nor become part of a message.
	last bool
	run  func(*session, string) reply
}

// verbs is the table: what is not in it is unimplemented.
var verbs = [...]verb{
	{name: "HELO", run: (*session).helo},
	{name: "EHLO", run: (*session).ehlo},
	{name: "MAIL", run: (*session).mail, illegal: [commandStates]reply{chunks: replyInChunks}},
	{name: "RCPT", run: (*session).rcpt, illegal: [commandStates]reply{ready: replyMailFirst, chunks: replyInChunks}},
	{name: "DATA", run: (*session).data, illegal: [commandStates]reply{ready: replyMailFirst, mail: replyRcptFirst, chunks: replyInChunks}, bare: true, last: true},
	{name: "BDAT", run: (*session).bdat},
	{name: "AUTH", run: (*session).authenticate},
	{name: "STARTTLS", run: (*session).starttls},
	{name: "XCLIENT", run: (*session).xclient},
	{name: "RSET", run: (*session).rset, bare: true},
	{name: "NOOP", run: (*session).noop},
	{name: "VRFY", run: (*session).vrfy},
	{name: "HELP", run: (*session).help},
	{name: "QUIT", run: (*session).quit, bare: true},
}

// foreign are first words of other protocols' requests. A browser can be made
// to send SMTP commands inside an HTTP request (RFC 5321 knows none of these).
var foreign = [...]string{"GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "PRI"}

// dispatch answers one command line.
func (s *session) dispatch(line string) reply {
	word, argument, _ := strings.Cut(line, " ")
	argument = strings.Trim(argument, " ")
	for i := range verbs {
		v := &verbs[i]
		if !strings.EqualFold(word, v.name) {
			continue
		}
		return s.runVerb(v, argument)
	}
	if isForeign(word) {
		return replyNotSMTP
	}
	return replyUnimplemented
}

func (s *session) runVerb(v *verb, argument string) reply {
	r := v.illegal[s.state]
	if r.code == 0 && v.bare && argument != "" {
		r = replyNoArgument
	}
	if v.last && s.talksEarly() {
		return replyEarlyTalk
	}
	if r.code != 0 {
		return r
	}
	return v.run(s, argument)
}

// isForeign reports whether a line begins like a request or a header field of
// HTTP, or like a TLS handshake.
func isForeign(word string) bool {
	for _, f := range foreign {
		if strings.EqualFold(word, f) {
			return true
		}
	}
	return strings.HasSuffix(word, ":")
}

func (s *session) rset(string) reply {
	s.reset()
	return replyFlushed
}

func (s *session) noop(string) reply { return replyNoop }

// vrfy answers VRFY: nobody is told who has a mailbox here (RFC 5321 section
// 7.3), and EXPN is not implemented.
func (s *session) vrfy(name string) reply {
	if name == "" {
		return replyVrfyWhom
	}
	return replyVrfy
}

func (s *session) help(string) reply { return replyHelp }

func (s *session) quit(string) reply { return quitReply(s.settings.greeting) }
