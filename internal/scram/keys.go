package scram

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
)

// KeySize is the size of keys, proofs and signatures.
const KeySize = sha256.Size

// Keys are what a server keeps of a password. Who has them can pose as the
// server, and, once he has seen a proof, as the user; not more.
type Keys struct {
	Salt       []byte
	Iterations uint32
	Stored     []byte
	Server     []byte
}

// Derive makes the keys of a password.
func Derive(password string, salt []byte, iterations uint32) (Keys, error) {
	salted, err := pbkdf2.Key(sha256.New, password, salt, int(iterations), KeySize)
	if err != nil {
		return Keys{}, err
	}
	stored := sha256.Sum256(mac(salted, "Client Key"))
	return Keys{Salt: salt, Iterations: iterations, Stored: stored[:], Server: mac(salted, "Server Key")}, nil
}

// Verify checks the proof for an AuthMessage and returns the server's signature.
func (k Keys) Verify(message, proof []byte) (signature []byte, ok bool) {
	if len(proof) != KeySize || len(k.Stored) != KeySize {
		return nil, false
	}
	client := make([]byte, KeySize)
	subtle.XORBytes(client, proof, mac(k.Stored, string(message)))
	if sum := sha256.Sum256(client); subtle.ConstantTimeCompare(sum[:], k.Stored) != 1 {
		return nil, false
	}
	return mac(k.Server, string(message)), true
}

// IsPassword reports whether the keys are those of a password.
func (k Keys) IsPassword(password string) (bool, error) {
	other, err := Derive(password, k.Salt, k.Iterations)
	return err == nil && subtle.ConstantTimeCompare(other.Stored, k.Stored) == 1, err
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text)) // a hash takes everything
	return h.Sum(nil)
}
