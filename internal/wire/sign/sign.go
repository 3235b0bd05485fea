// Package sign is the protocol by which qmail-smtpd and qmail-remote have their
// TLS handshakes signed: the private keys are in qmail-tlskey alone.
//
// Imported by the rooms of both. Who answers trusts nothing: a qmail-smtpd that
// was taken over can have anything signed that has the form of a digest, for as
// long as it runs, and never has the key. Who asks trusts an answer, whose
// signature the peer of the handshake checks.
//
// # Protocol
//
// Questions and answers of internal/wire/call. A question is one byte of kind,
// then:
//
//	C index                 which certificates are there? 16 bits, from 0
//	S id hash padding data  sign: 32 bytes, a byte, a byte, the digest
//
// id is the SHA-256 of the first certificate. hash is one of Hash's numbers;
// the digest has its length. Number 0 is Ed25519, which takes the data itself,
// 1 to MaxData bytes: that of a handshake is shorter. padding is 1 for
// RSA-PSS with a salt as long as the digest, else 0.
//
// The answer is one byte, then:
//
//	C length name (length certificate)...   the name: 8 bits; DER: 32 bits
//	S signature
//	N                                       there is no such certificate, or key
//	R                                       this is not signed
//
// The certificate of index 0 has an empty name: it is shown to who asks for no
// name or for one that is not there. All numbers are big-endian.
//
// Files: sign.go (both sides), client.go (who asks), server.go (qmail-tlskey).
package sign

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"postrider/internal/wire/call"
)

const (
	// MaxChains bounds the certificates with their names.
	MaxChains = 128
	// MaxName is the most bytes of a name, as of any host.
	MaxName = 253
	// MaxData is the most that is signed without having been hashed before.
	MaxData = 512
	// MaxSignature is that of an RSA key of 16384 bits, and more than needed.
	MaxSignature = 2048
	// MaxCertificates is the most bytes of a chain in an answer.
	MaxCertificates = call.MaxBody - 2 - MaxName
)

// Kinds of questions and answers.
const (
	kindChain   = 'C'
	kindSign    = 'S'
	kindNone    = 'N'
	kindRefused = 'R'
)

// hashes are the numbers on the wire.
var hashes = [...]crypto.Hash{0, crypto.MD5SHA1, crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512}

// ID names a key: the SHA-256 of its certificate.
type ID [sha256.Size]byte

// Chain is a certificate with those that lead to its root.
type Chain struct {
	Name         string // of the host; empty for the one that is shown by default
	Certificates [][]byte
}

// ID returns the name of the chain's key.
func (c Chain) ID() ID { return sha256.Sum256(c.Certificates[0]) }

// Size returns how many bytes the certificates take in an answer.
func (c Chain) Size() (n int) {
	for _, der := range c.Certificates {
		n += 4 + len(der)
	}
	return n
}

var errForm = errors.New("not of the form that the protocol has")

func appendChain(b []byte, c Chain) []byte {
	b = append(b, kindChain, byte(len(c.Name)))
	b = append(b, c.Name...)
	for _, der := range c.Certificates {
		b = binary.BigEndian.AppendUint32(b, uint32(len(der)))
		b = append(b, der...)
	}
	return b
}

// parseChain takes the answer behind its kind.
func parseChain(b []byte) (c Chain, err error) {
	if len(b) < 1 || len(b) < 1+int(b[0]) || b[0] > MaxName {
		return c, errForm
	}
	c.Name, b = string(b[1:1+b[0]]), b[1+b[0]:]
	for len(b) > 0 {
		if len(b) < 4 {
			return c, errForm
		}
		n := binary.BigEndian.Uint32(b)
		if b = b[4:]; n == 0 || uint64(n) > uint64(len(b)) {
			return c, errForm
		}
		c.Certificates, b = append(c.Certificates, b[:n:n]), b[n:]
	}
	if len(c.Certificates) == 0 {
		return c, errForm
	}
	return c, nil
}

// request is a question for a signature.
type request struct {
	id   ID
	opts crypto.SignerOpts
	data []byte
}

func appendRequest(b []byte, r request) ([]byte, error) {
	padding := byte(0)
	if pss, is := r.opts.(*rsa.PSSOptions); is {
		if pss.SaltLength != rsa.PSSSaltLengthEqualsHash {
			return nil, errForm
		}
		padding = 1
	}
	for number, hash := range hashes {
		if hash != r.opts.HashFunc() {
			continue
		}
		b = append(append(b, kindSign), r.id[:]...)
		return append(append(b, byte(number), padding), r.data...), nil
	}
	return nil, errForm
}

// parseRequest takes the question behind its kind. Only what has the length of
// a digest is one.
func parseRequest(b []byte) (r request, err error) {
	if len(b) < len(r.id)+2 {
		return r, errForm
	}
	number, padding := b[len(r.id)], b[len(r.id)+1]
	copy(r.id[:], b)
	r.data = b[len(r.id)+2:]
	if int(number) >= len(hashes) || padding > 1 {
		return r, errForm
	}
	hash := hashes[number]
	switch {
	case hash == 0 && (padding != 0 || len(r.data) == 0 || len(r.data) > MaxData):
		return r, errForm
	case hash != 0 && len(r.data) != hash.Size():
		return r, errForm
	}
	r.opts = hash
	if padding == 1 {
		r.opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	return r, nil
}
