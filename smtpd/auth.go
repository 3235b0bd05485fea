package smtpd

import (
	"bytes"
	"encoding/base64"
	"strings"
	"time"
	"unicode/utf8"

	"postrider/internal/figures"
	"postrider/internal/wire/auth"
)

// maxAuthFailures is how many attempts of a session may fail.
const maxAuthFailures = 3

// checker knows whether passwords are right: a process that has them. An error
// means that it cannot be found out now.
type checker interface {
	// present reports whether there is one at all.
	present() bool
	mechanisms() auth.Mechanisms
	Password(a auth.Attempt, password []byte) (auth.Verdict, error)
	CRAM(a auth.Attempt, challenge, digest []byte) (auth.Verdict, error)
	Salt(a auth.Attempt) (salt []byte, iterations uint32, err error)
	Proof(a auth.Attempt, message, proof []byte) (auth.Verdict, error)
}

// login is what a session has that has said AUTH.
type login struct {
	method   string
	next     step // takes the client's next line; nil: there is no exchange
	failures int
	user     string // who has logged in; "": nobody
	// before is the client as it was then.
	before peer
}

// step takes the next response of a client in an exchange, decoded.
type step func(s *session, response []byte) reply

// mechanism is a row of the table of them.
type mechanism struct {
	name  string
	needs auth.Mechanisms
	// begin answers the command without an initial response.
	begin func(*session) reply
	// first takes the initial response; nil: the server speaks first.
	first step
}

// mechanismTable is in the order in which they are offered: qmail's own first.
func mechanismTable() [5]mechanism {
	return [...]mechanism{
		{"LOGIN", auth.Passwords, (*session).askLoginUser, (*session).loginUser},
		{"PLAIN", auth.Passwords, asks("", (*session).plain), (*session).plain},
		{"CRAM-MD5", auth.CRAMMD5, (*session).askCRAM, nil},
		{"SCRAM-SHA-256", auth.SCRAMSHA256, asks("", (*session).scram), (*session).scram},
		{scramPlus, auth.SCRAMSHA256, asks("", (*session).scram), (*session).scram},
	}
}

// asks returns the begin of a mechanism whose client speaks first.
func asks(challenge string, next step) func(*session) reply {
	return func(s *session) reply { return s.ask(challenge, next) }
}

// ask sends a challenge and says who takes the response.
func (s *session) ask(challenge string, next step) reply {
	s.login.next = next
	return reply{code: 334, text: base64.StdEncoding.EncodeToString([]byte(challenge))}
}

// readAuth reads what a rule says of AUTH (spec section 6.7).
func (p *peer) readAuth(word, forceTLS string) {
	p.openAuth = forceTLS == "0"
	p.noAuth = word == "-" || word == "0"
	word, p.needsAuth = strings.CutPrefix(word, "!")
	p.cram = word == "cram" || word == "+cram"
}

// hasAuth reports whether clients can log in here.
func (s *session) hasAuth() bool { return s.auth != nil && s.auth.present() }

// mayAuth reports whether a password may be sent as the session is now.
func (s *session) mayAuth() bool {
	return s.secured() || s.settings.authInsecure || s.peer.openAuth
}

// offeredMechanisms are those that this client may use now.
func (s *session) offeredMechanisms() (offered []mechanism) {
	if !s.hasAuth() || s.peer.noAuth || !s.mayAuth() {
		return nil
	}
	there := s.auth.mechanisms()
	if !s.settings.authCRAM && !s.peer.cram {
		there &^= auth.CRAMMD5
	}
	for _, m := range mechanismTable() {
		if m.needs&there != 0 && (m.name != scramPlus || s.channelBinding() != nil) {
			offered = append(offered, m)
		}
	}
	return offered
}

// offersAuth is the line of the answer to EHLO, or nothing.
func (s *session) offersAuth() string {
	if !s.hasAuth() {
		return ""
	}
	var line strings.Builder
	for _, m := range s.offeredMechanisms() {
		line.WriteString(" " + m.name)
	}
	if line.Len() == 0 {
		return ""
	}
	return "\nAUTH" + line.String()
}

// authenticate answers AUTH (RFC 4954).
func (s *session) authenticate(argument string) reply {
	if s.login == nil {
		s.login = &login{}
	}
	switch {
	case !s.hasAuth():
		return replyUnimplemented
	case s.loggedIn() != "":
		return replyAuthTwice
	case s.state == chunks:
		return replyInChunks
	case s.state != ready:
		return replyAuthInMail
	case s.peer.noAuth:
		return replyNoAuth
	case !s.mayAuth():
		return replyAuthNeedsTLS
	}
	name, initial, hasInitial := strings.Cut(argument, " ")
	for _, m := range s.offeredMechanisms() {
		if !strings.EqualFold(name, m.name) {
			continue
		}
		s.login.method = m.name
		switch {
		case !hasInitial:
			return m.begin(s)
		case m.first == nil:
			return replyAuthMalformed
		case initial == "=":
			return m.first(s, nil)
		}
		return s.decoded([]byte(initial), m.first)
	}
	return replyAuthType
}

// expectAuth prepares input for a line of AUTH, and reports whether the next one
// is part of an exchange.
func (s *session) expectAuth() bool {
	if !s.hasAuth() {
		return false
	}
	s.in.long = s.mayAuth()
	s.in.inAuth = s.login != nil && s.login.next != nil
	return s.in.inAuth
}

// authLine takes a line of an exchange.
func (s *session) authLine(line []byte, err error) reply {
	next := s.login.next
	s.login.next = nil
	switch {
	case err != nil:
		return replyAuthTooLong
	case string(line) == "*":
		return replyAuthCanceled
	}
	return s.decoded(line, next)
}

func (s *session) decoded(coded []byte, next step) reply {
	response, err := base64.StdEncoding.Strict().AppendDecode(nil, coded)
	if err != nil || strings.ContainsAny(string(coded), "\r\n") {
		return replyAuthMalformed
	}
	return next(s, response)
}

// attempt is what is asked about a user.
func (s *session) attempt(user string) auth.Attempt {
	return auth.Attempt{User: user, Client: s.peer.ip}
}

// sound reports whether a name can be anybody's.
func sound(user string) bool {
	for _, c := range user {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return user != "" && len(user) <= auth.MaxUser && utf8.ValidString(user)
}

// judge says what a verdict means for the session.
func (s *session) judge(user string, v auth.Verdict, err error) reply {
	switch {
	case err != nil:
		s.logProblem("auth", err)
		s.counts.Add(figures.AuthAttempts, figures.LoginUnsure, 1)
		s.logAuthFailed(user, "unable to check")
		return replyAuthUnsure
	case v.OK:
		s.counts.Add(figures.AuthAttempts, figures.LoggedIn, 1)
		s.logIn(user)
		return replyAuthOK
	case v.Limited:
		return s.authFailed(user, "too many failures", v.Wait, replyAuthLimited)
	}
	return s.authFailed(user, "wrong user or password", v.Wait, replyAuthFailed)
}

// authFailed refuses an attempt after a while; the last one ends the session.
func (s *session) authFailed(user, why string, wait time.Duration, r reply) reply {
	s.counts.Add(figures.AuthAttempts, figures.LoginRefused, 1)
	s.logAuthFailed(user, why)
	if s.login.failures++; s.login.failures >= maxAuthFailures {
		r = replyAuthTooMany
	}
	if wait > 0 && s.pause(wait) != nil {
		return r.hangingUp() // there is nobody left to tell
	}
	return r
}

// loggedIn returns who has logged in, or "".
func (s *session) loggedIn() string {
	if s.login == nil {
		return ""
	}
	return s.login.user
}

// logIn makes the session that of a user, who may relay.
func (s *session) logIn(user string) {
	s.login.user = user
	s.login.before = s.peer
	if !s.peer.relay {
		s.peer.relay, s.peer.relaySuffix = true, ""
	}
	s.peer.info, s.peer.hasInfo = user, true
	if q, tells := s.queue.(interface{ identify(user, method string) }); tells {
		q.identify(user, s.login.method)
	}
	b := s.logEvent("auth")
	s.logUser(b)
	s.log.Status(b.String())
}

// logOut forgets who has logged in: another client comes, or TLS begins (RFC
// 3207 section 4.2).
func (s *session) logOut() {
	if s.loggedIn() != "" {
		s.peer = s.login.before
		s.login.user = ""
	}
}

// mayMail applies what AUTH has to do with MAIL; the zero reply is consent.
func (s *session) mayMail(p mailParameters) reply {
	if p.auth && (!s.hasAuth() || s.peer.noAuth) {
		return *refuse(555, "unrecognised parameter")
	}
	if (s.kind.Submission || s.peer.needsAuth) && !s.peer.relay {
		return replyAuthNeeded
	}
	return reply{}
}

// logUser appends who has logged in.
func (s *session) logUser(b *strings.Builder) {
	if user := s.loggedIn(); user != "" {
		logField(b, "user", user)
		logField(b, "method", s.login.method)
	}
}

// logAuthFailed writes the line that programs such as fail2ban read; its form is
// in docs/operations.md.
func (s *session) logAuthFailed(user, why string) {
	b := &strings.Builder{}
	b.WriteString(logPrefix + "auth failed")
	logField(b, "ip", s.peer.ip)
	logField(b, "user", user)
	logField(b, "method", s.login.method)
	logField(b, "why", why)
	s.log.Line(b.String())
}

// withoutSecret is what the log may show of a line: nothing behind AUTH, and
// nothing that a client may have sent because it took the session for one where
// AUTH has begun.
func (s *session) withoutSecret(line []byte) []byte {
	line = bytes.TrimLeft(line, " \t")
	word, _, _ := strings.Cut(string(line[:min(len(line), 64)]), " ")
	if len(word) >= 4 && strings.EqualFold(word[:4], "AUTH") {
		return line[:4]
	}
	if s.login == nil {
		return line
	}
	for i := range verbs {
		if strings.EqualFold(word, verbs[i].name) {
			return line
		}
	}
	return nil
}
