package smtpd

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"fmt"

	"postrider/internal/saslprep"
	"postrider/internal/scram"
	"postrider/internal/wire/auth"
)

const (
	scramPlus = "SCRAM-SHA-256-PLUS"
	// exporter is the one channel binding (RFC 9266).
	exporter = "tls-exporter"
)

// plain takes the response of PLAIN (RFC 4616): as whom to act, user, password.
func (s *session) plain(response []byte) reply {
	fields := bytes.Split(response, []byte{0})
	if len(fields) != 3 {
		return replyAuthMalformed
	}
	user := saslprep.Prepare(string(fields[1]))
	if len(fields[0]) > 0 && saslprep.Prepare(string(fields[0])) != user {
		return s.authFailed(user, "another user", 0, replyAuthFailed)
	}
	return s.password(user, fields[2])
}

// password has one checked.
func (s *session) password(user string, password []byte) reply {
	if !sound(user) || len(password) == 0 || len(password) > auth.MaxPassword {
		return s.authFailed(user, "malformed", 0, replyAuthFailed)
	}
	v, err := s.auth.Password(s.attempt(user), password)
	return s.judge(user, v, err)
}

// askLoginUser begins LOGIN, which no RFC has.
func (s *session) askLoginUser() reply { return s.ask("Username:", (*session).loginUser) }

func (s *session) loginUser(response []byte) reply {
	user := saslprep.Prepare(string(response))
	return s.ask("Password:", func(s *session, password []byte) reply { return s.password(user, password) })
}

// askCRAM begins CRAM-MD5 (RFC 2195).
func (s *session) askCRAM() reply {
	challenge := fmt.Sprintf("<%s.%d@%s>", rand.Text(), s.clock.Now().Unix(), s.peer.local)
	challenge = challenge[:min(len(challenge), auth.MaxChallenge)]
	return s.ask(challenge, func(s *session, response []byte) reply { return s.cram(challenge, response) })
}

func (s *session) cram(challenge string, response []byte) reply {
	at := bytes.LastIndexByte(response, ' ')
	if at < 0 {
		return replyAuthMalformed
	}
	user := saslprep.Prepare(string(response[:at]))
	digest, err := hex.DecodeString(string(response[at+1:]))
	if err != nil || len(digest) != auth.DigestSize || !sound(user) {
		return s.authFailed(user, "malformed", 0, replyAuthFailed)
	}
	v, err := s.auth.CRAM(s.attempt(user), []byte(challenge), digest)
	return s.judge(user, v, err)
}

// scram takes the first message of SCRAM-SHA-256, with or without PLUS.
func (s *session) scram(response []byte) reply {
	first, err := scram.ParseClientFirst(string(response))
	if err != nil {
		return replyAuthMalformed
	}
	binding, fits := s.bindingOf(first)
	user := saslprep.Prepare(first.User)
	switch {
	case !fits:
		return s.authFailed(user, "channel binding", 0, replyAuthFailed)
	case first.AuthzID != "" && saslprep.Prepare(first.AuthzID) != user:
		return s.authFailed(user, "another user", 0, replyAuthFailed)
	case !sound(user):
		return s.authFailed(user, "malformed", 0, replyAuthFailed)
	}
	salt, iterations, err := s.auth.Salt(s.attempt(user))
	if err != nil {
		return s.judge(user, auth.Verdict{}, err)
	}
	answer := first.Answer(rand.Text(), salt, iterations)
	return s.ask(answer.String(), func(s *session, response []byte) reply {
		return s.scramProof(user, answer, binding, response)
	})
}

// bindingOf returns the data of the channel binding that a client uses, and
// whether its words fit the mechanism and what it was offered (RFC 5802 section
// 6): who could have bound and was told not to has somebody in between.
func (s *session) bindingOf(first scram.ClientFirst) (data []byte, fits bool) {
	data = s.channelBinding()
	switch first.Binding {
	case scram.WithBinding:
		return data, s.login.method == scramPlus && first.Type == exporter && data != nil
	case scram.NotOffered:
		return nil, s.login.method != scramPlus && data == nil
	}
	return nil, s.login.method != scramPlus
}

func (s *session) scramProof(user string, answer scram.ServerFirst, binding, response []byte) reply {
	message, proof, err := answer.Finish(string(response), binding)
	if err != nil || len(message) > auth.MaxMessage {
		return s.authFailed(user, "malformed", 0, replyAuthFailed)
	}
	v, err := s.auth.Proof(s.attempt(user), []byte(message), proof)
	if err != nil || !v.OK {
		return s.judge(user, v, err)
	}
	// The client says by an empty response that it believes the signature.
	return s.ask(scram.Final(v.Signature), func(s *session, response []byte) reply {
		if len(response) > 0 {
			return replyAuthMalformed
		}
		return s.judge(user, v, nil)
	})
}

// channelBinding returns what is the same at both ends of this TLS connection
// and at no other; nil if there is none.
func (s *session) channelBinding() []byte {
	if s.tls == nil {
		return nil
	}
	return exported(s.tls.ConnectionState())
}

// exported is the tls-exporter of a connection. TLS 1.2 has none that is safe
// without the extended master secret, which Go then refuses.
func exported(state tls.ConnectionState) []byte {
	data, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
	if err != nil {
		return nil
	}
	return data
}
