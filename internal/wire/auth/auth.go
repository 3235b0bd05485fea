// Package auth is the protocol by which qmail-smtpd has the passwords of its
// clients checked: what they are compared with is in qmail-auth, or with a
// checkpassword program behind qmail-checkpass, alone.
//
// Imported by the rooms of the three. Who answers trusts nothing: a qmail-smtpd
// that was taken over can try passwords, as anybody on the network can, and has
// to do with the same limits as long as it does not invent addresses. It sees
// the passwords of clients that log in meanwhile, and no hash and no key.
//
// # Protocol
//
// Questions and answers of internal/wire/call. A question is one byte of kind,
// then fields of internal/wire/codec. Each but the first begins with an attempt:
// the name of the user and the address of the client, both strings.
//
//	M                            which mechanisms are there?
//	P attempt password           is this the user's password?
//	C attempt challenge digest   is this the answer to the challenge? (RFC 2195;
//	                             the digest has 16 bytes)
//	S attempt                    how is the user's password salted? (RFC 5802)
//	F attempt message proof      does the proof of 32 bytes fit the AuthMessage?
//
// The answer is one byte, then:
//
//	M bits                       8 bits: the sum of Mechanisms
//	S salt iterations            a string; 32 bits. A user who is not there has
//	                             a salt, too
//	Y signature                  yes; the signature of F is a string, else empty
//	N wait                       no; the client is told so after 32 bits of
//	                             milliseconds
//	L wait                       not looked at: too many attempts failed before
//	E                            it cannot be found out now
//
// Nothing is kept between S and F: what the proof is checked with is in the
// file of passwords, so that a wrong AuthMessage makes no other key valid.
//
// Files: auth.go (both sides), client.go (qmail-smtpd), server.go (who answers).
package auth

import (
	"errors"
	"time"

	"postrider/internal/wire/codec"
)

// The longest fields.
const (
	MaxUser      = 255
	MaxPassword  = 1024
	MaxChallenge = 255
	MaxMessage   = 20 << 10 // an AuthMessage
	MaxSalt      = 128
	DigestSize   = 16
	ProofSize    = 32
	maxClient    = 64
	// MaxWait bounds what a client is made to wait.
	MaxWait = time.Minute
)

// Mechanisms are what can be checked.
type Mechanisms byte

// The mechanisms, which are added up.
const (
	Passwords   Mechanisms = 1 << iota // PLAIN, LOGIN
	CRAMMD5                            // CRAM-MD5
	SCRAMSHA256                        // SCRAM-SHA-256
)

const (
	kindMechanisms = 'M'
	kindPassword   = 'P'
	kindCRAM       = 'C'
	kindSalt       = 'S'
	kindProof      = 'F'
	kindYes        = 'Y'
	kindNo         = 'N'
	kindLimited    = 'L'
	kindUnknown    = 'E'
)

// Attempt is who tries to log in, and from where.
type Attempt struct {
	User   string
	Client string // an address
}

// Verdict is the answer to an attempt.
type Verdict struct {
	OK bool
	// Limited says that nobody looked: too many attempts have failed.
	Limited bool
	// Wait is how long a client that is refused waits for its reply.
	Wait time.Duration
	// Signature is the server's, if a proof was right.
	Signature []byte
}

var errForm = errors.New("not of the form that the protocol has")

// question is one of them, decoded.
type question struct {
	kind byte
	Attempt
	secret []byte // password, challenge or AuthMessage
	proof  []byte // digest or proof
}

func (q question) append(b []byte) []byte {
	b = append(b, q.kind)
	if q.kind == kindMechanisms {
		return b
	}
	b = codec.AppendString(codec.AppendString(b, q.User), q.Client)
	switch q.kind {
	case kindPassword:
		b = codec.AppendBytes(b, q.secret)
	case kindCRAM, kindProof:
		b = append(codec.AppendBytes(b, q.secret), q.proof...)
	}
	return b
}

// parseQuestion takes a question apart; its bytes stay part of it.
func parseQuestion(b []byte) (q question, err error) {
	r := codec.NewReader(b)
	if q.kind = r.Uint8(); q.kind == kindMechanisms {
		return q, r.Done()
	}
	q.User, q.Client = r.String(MaxUser), r.String(maxClient)
	switch q.kind {
	case kindPassword:
		q.secret = r.Blob(MaxPassword)
	case kindCRAM:
		q.secret, q.proof = r.Blob(MaxChallenge), r.Bytes(DigestSize)
	case kindSalt:
	case kindProof:
		q.secret, q.proof = r.Blob(MaxMessage), r.Bytes(ProofSize)
	default:
		r.Fail(errForm)
	}
	if q.User == "" {
		r.Fail(errForm)
	}
	return q, r.Done()
}

func (v Verdict) append(b []byte) []byte {
	switch {
	case v.OK:
		return codec.AppendBytes(append(b, kindYes), v.Signature)
	case v.Limited:
		b = append(b, kindLimited)
	default:
		b = append(b, kindNo)
	}
	return codec.AppendUint32(b, uint32(min(max(0, v.Wait), MaxWait)/time.Millisecond))
}

func parseVerdict(b []byte) (v Verdict, err error) {
	r := codec.NewReader(b)
	switch r.Uint8() {
	case kindYes:
		v.OK, v.Signature = true, r.Blob(ProofSize)
	case kindNo:
		v.Wait = wait(r)
	case kindLimited:
		v.Limited, v.Wait = true, wait(r)
	default:
		r.Fail(errUnsure)
	}
	if err := r.Done(); err != nil {
		return Verdict{}, err
	}
	return v, nil
}

func wait(r *codec.Reader) time.Duration {
	return min(time.Duration(r.Uint32())*time.Millisecond, MaxWait)
}
