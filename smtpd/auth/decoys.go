package auth

import (
	"cmp"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// invented returns n bytes that a name has as long as the file has its secret.
func (b *book) invented(what, user string, n int) []byte {
	bytes, _ := hkdf.Expand(sha256.New, b.secret, what+"\x00"+user, n) // fails for kilobytes only
	return bytes
}

func (b *book) position(user string) uint64 {
	return binary.BigEndian.Uint64(b.invented("decoy", user, 8))
}

// arrange puts the accounts on a ring, by their names.
func (b *book) arrange() {
	for user, a := range b.accounts {
		if a.hash == nil {
			a.hash = plain("")
		}
		b.list = append(b.list, place{b.position(user), a})
	}
	slices.SortFunc(b.list, func(x, y place) int { return cmp.Compare(x.at, y.at) })
}

// decoy returns the account that a name without one is treated as: the next one
// on the ring. It is another one only when a user comes or goes just there; if
// all names changed theirs, they would be known by that.
func (b *book) decoy(user string) account {
	if len(b.list) == 0 {
		return account{hash: plain("")}
	}
	i, _ := slices.BinarySearchFunc(b.list, b.position(user), func(p place, at uint64) int { return cmp.Compare(p.at, at) })
	return b.list[i%len(b.list)].account
}
