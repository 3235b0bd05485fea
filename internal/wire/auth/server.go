package auth

import (
	"time"

	"postrider/internal/wire/codec"
)

// Verifier knows the passwords. An error means that it cannot tell now. It may
// be asked by many goroutines.
type Verifier interface {
	Mechanisms() Mechanisms
	Password(a Attempt, password []byte) (ok bool, err error)
	CRAM(a Attempt, challenge, digest []byte) (ok bool, err error)
	// Salt returns one for every name, so that nobody learns who is there.
	Salt(a Attempt) (salt []byte, iterations uint32, err error)
	Proof(a Attempt, message, proof []byte) (signature []byte, ok bool, err error)
}

// Guard counts what fails (internal/attempts).
type Guard interface {
	// Closed reports whether an attempt is not looked at, and how long its
	// client then waits.
	Closed(user, client string) (wait time.Duration, closed bool)
	Failed(user, client string) (wait time.Duration)
	Succeeded(user, client string)
}

// Server answers.
type Server struct {
	Verifier Verifier
	Guard    Guard
	Log      func(error) // what a Verifier cannot tell, and why
}

// Answer answers a question; one that is none has no answer.
func (s *Server) Answer(asked []byte) []byte {
	q, err := parseQuestion(asked)
	if err != nil {
		s.Log(err)
		return nil
	}
	switch q.kind {
	case kindMechanisms:
		return []byte{kindMechanisms, byte(s.Verifier.Mechanisms())}
	case kindSalt:
		salt, iterations, err := s.Verifier.Salt(q.Attempt)
		if err != nil || len(salt) > MaxSalt {
			return s.unsure(err)
		}
		return codec.AppendUint32(codec.AppendBytes([]byte{kindSalt}, salt), iterations)
	}
	if wait, closed := s.Guard.Closed(q.User, q.Client); closed {
		return Verdict{Limited: true, Wait: wait}.append(nil)
	}
	v, err := s.verify(q)
	if err != nil {
		return s.unsure(err)
	}
	if v.OK {
		s.Guard.Succeeded(q.User, q.Client)
	} else {
		v.Wait = s.Guard.Failed(q.User, q.Client)
	}
	return v.append(nil)
}

func (s *Server) unsure(err error) []byte {
	if err != nil {
		s.Log(err)
	}
	return []byte{kindUnknown}
}

func (s *Server) verify(q question) (v Verdict, err error) {
	switch q.kind {
	case kindPassword:
		v.OK, err = s.Verifier.Password(q.Attempt, q.secret)
	case kindCRAM:
		v.OK, err = s.Verifier.CRAM(q.Attempt, q.secret, q.proof)
	case kindProof:
		v.Signature, v.OK, err = s.Verifier.Proof(q.Attempt, q.secret, q.proof)
	}
	return v, err
}
