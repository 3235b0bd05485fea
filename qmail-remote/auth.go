package qmailremote

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"net/netip"
	"strings"

	"postrider/internal/smtpwire"
)

// Codes of RFC 4954.
const (
	codeLoggedIn = 235
	codeContinue = 334
)

// encrypted reports whether nobody on the way can read what is said.
func (s *session) encrypted() bool {
	_, yes := s.conn.(interface{ Handshake() error }) // a connection of crypto/tls
	return yes
}

// logIn says who we are (RFC 4954). Whatever goes wrong is ours or the relay's
// to put right, and no fault of the message: it is tried again.
func (s *session) logIn(set *settings) *report {
	l := s.key.via.login
	if !s.encrypted() && !s.ip().IsLoopback() && !set.authInsecure {
		return loginInClear(s.ip())
	}
	token := ""
	if l.token != "" {
		var err error
		if token, err = readToken(set.home, l.token); err != nil {
			return noToken(l.token, err)
		}
	}
	mechanism := s.mechanism(l)
	if mechanism == "" {
		return noMechanism(s.ip())
	}
	s.await(stepAuth)
	reply, err := s.sayWho(mechanism, l, token)
	switch {
	case err != nil:
		// What a server said last may repeat what it was told.
		return died(s.ip(), false, "")
	case reply.Code != codeLoggedIn:
		return loginRejected(s.ip(), reply)
	}
	return nil
}

// mechanism chooses among those that the server offers. PLAIN is best where
// nobody listens: the server may then keep the password as a hash.
func (s *session) mechanism(l login) string {
	wanted := []string{"PLAIN", "LOGIN", "CRAM-MD5"}
	switch {
	case l.token != "":
		wanted = []string{"XOAUTH2"}
	case !s.encrypted():
		wanted = []string{"CRAM-MD5", "PLAIN", "LOGIN"}
	}
	offered := strings.Fields(strings.ToUpper(s.ext.auth))
	for _, w := range wanted {
		for _, o := range offered {
			if o == w {
				return w
			}
		}
	}
	return ""
}

// sayWho carries out a mechanism and returns the server's last reply.
func (s *session) sayWho(mechanism string, l login, token string) (smtpwire.Reply, error) {
	switch mechanism {
	case "PLAIN": // RFC 4616
		return s.command("AUTH PLAIN " + encode("\x00"+l.user+"\x00"+l.password))
	case "LOGIN":
		return s.answer("AUTH LOGIN", encode(l.user), encode(l.password))
	case "XOAUTH2":
		// A refusal comes with a reason first, which is to be answered.
		return s.answer("AUTH XOAUTH2 "+encode("user="+l.user+"\x01auth=Bearer "+token+"\x01\x01"), "")
	}
	reply, err := s.command("AUTH CRAM-MD5") // RFC 2195
	if err != nil || reply.Code != codeContinue {
		return reply, err
	}
	challenge, ok := parseChallenge(reply.Text)
	if !ok {
		return s.command("*")
	}
	return s.command(encode(l.user + " " + cramMD5(l.password, challenge)))
}

// answer sends a command, and then one answer after the other as long as the
// server asks.
func (s *session) answer(command string, answers ...string) (smtpwire.Reply, error) {
	reply, err := s.command(command)
	for _, a := range answers {
		if err != nil || reply.Code != codeContinue {
			break
		}
		reply, err = s.command(a)
	}
	return reply, err
}

func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// parseChallenge reads what the server asks with code 334.
func parseChallenge(text string) (challenge []byte, ok bool) {
	line, rest, _ := strings.Cut(text, "\n")
	if len(line) < 4 || rest != "" {
		return nil, false
	}
	challenge, err := base64.StdEncoding.DecodeString(strings.TrimSpace(line[4:]))
	return challenge, err == nil
}

func cramMD5(password string, challenge []byte) string {
	mac := hmac.New(md5.New, []byte(password))
	mac.Write(challenge) // never fails
	return hex.EncodeToString(mac.Sum(nil))
}

func loginInClear(ip netip.Addr) *report {
	return &report{class: deferred, text: "Connected to " + ip.String() + " but it offers no encryption, and I do not log in without. (#4.7.0)\n"}
}

func noMechanism(ip netip.Addr) *report {
	return &report{class: deferred, text: "Connected to " + ip.String() + " but it offers no way to log in that I know. (#4.7.0)\n"}
}

func noToken(file string, err error) *report {
	return &report{class: deferred, text: "Unable to use control/" + printable(file) + ": " + printable(err.Error()) + ". (#4.3.5)\n"}
}

// loginRejected tells the codes of the reply and not its text, which may repeat
// what the server was told.
func loginRejected(ip netip.Addr, reply smtpwire.Reply) *report {
	return &report{class: deferred, text: "Connected to " + ip.String() + " but my login was rejected. (#4.7.8)\n" + remoteSaid(codesOf(reply))}
}

// codesOf is the code of a reply and its enhanced code, if there is one.
func codesOf(reply smtpwire.Reply) string {
	line, _, _ := strings.Cut(reply.Text, "\n")
	codes := line[:min(len(line), 3)]
	if words := strings.Fields(line[len(codes):]); len(words) > 0 && isEnhanced(words[0]) {
		codes += " " + words[0]
	}
	return codes
}

// isEnhanced reports whether a word is a code of RFC 3463.
func isEnhanced(word string) bool {
	parts := strings.Split(word, ".")
	if len(parts) != 3 || len(word) > 9 {
		return false
	}
	for _, p := range parts {
		if p == "" || strings.Trim(p, "0123456789") != "" {
			return false
		}
	}
	return true
}
