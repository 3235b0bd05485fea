package sign

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"slices"
)

// Key is what the one who answers has.
type Key struct {
	Chain
	crypto.Signer
}

// Answer answers a question from the keys, the one without a name first. Those
// before them still sign what was begun with their certificates.
func Answer(question []byte, keys, before []Key) []byte {
	switch kind, rest := question[0], question[1:]; kind {
	case kindChain:
		if len(rest) != 2 {
			return []byte{kindRefused}
		}
		if i := int(binary.BigEndian.Uint16(rest)); i < len(keys) {
			return appendChain(nil, keys[i].Chain)
		}
		return []byte{kindNone}
	case kindSign:
		return signed(rest, slices.Concat(keys, before))
	}
	return []byte{kindRefused}
}

func signed(question []byte, keys []Key) []byte {
	r, err := parseRequest(question)
	if err != nil {
		return []byte{kindRefused}
	}
	for _, key := range keys {
		if key.ID() != r.id {
			continue
		}
		// What is not hashed is for Ed25519: RSA would sign any padding that
		// somebody else has made. The key knows what else goes with it.
		if _, is := key.Public().(ed25519.PublicKey); is != (r.opts.HashFunc() == 0) {
			return []byte{kindRefused}
		}
		signature, err := key.Sign(rand.Reader, r.data, r.opts)
		if err != nil || len(signature) > MaxSignature {
			return []byte{kindRefused}
		}
		return append([]byte{kindSign}, signature...)
	}
	return []byte{kindNone}
}
