package auth

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"errors"
	"strconv"
	"strings"

	"github.com/go-crypt/x/crypt"
	"github.com/go-crypt/x/yescrypt"
)

const (
	// Rounds of SHA-crypt: what it does without a number, and the limits.
	usualRounds = 5000
	minRounds   = 1000
	maxRounds   = 1 << 20
	// crypt(3) takes no longer password.
	maxCryptPassword = 512
	// maxCryptWork bounds rounds times bytes of the password, which each round
	// of SHA-crypt reads again: who guesses picks long ones.
	maxCryptWork = 128 << 20
)

// cryptAlphabet is that of crypt(3).
const cryptAlphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

var errYescrypt = errors.New("a hash of yescrypt in users/smtppasswd cannot be computed")

// old is a hash of crypt(3), as in /etc/shadow: $1$, $5$ or $6$.
type old struct {
	id     byte
	rounds int
	salt   string
	sum    string
}

// parseCrypt takes $1$salt$sum, $5$[rounds=N$]salt$sum, $6$ the same, and $y$.
func parseCrypt(text string) (hash, bool) {
	id, rest, _ := strings.Cut(text[1:], "$")
	if id == "y" {
		return parseYescrypt(text)
	}
	o := old{id: id[0], rounds: usualRounds}
	maxSalt := 16
	if o.id == '1' {
		maxSalt = 8
	} else if number, after, found := strings.Cut(rest, "$"); found && strings.HasPrefix(number, "rounds=") {
		n, err := strconv.Atoi(number[len("rounds="):])
		if err != nil || n > maxRounds {
			return nil, false
		}
		o.rounds, rest = max(n, minRounds), after
	}
	var found bool
	o.salt, o.sum, found = strings.Cut(rest, "$")
	want := map[byte]int{'1': 22, '5': 43, '6': 86}[o.id]
	return o, found && len(o.salt) <= maxSalt && len(o.sum) == want && strings.Trim(o.sum, cryptAlphabet) == ""
}

func (o old) matches(password []byte) (bool, error) {
	if len(password) > min(maxCryptPassword, maxCryptWork/o.rounds) {
		return false, nil
	}
	return subtle.ConstantTimeCompare(o.compute(password), []byte(o.sum)) == 1, nil
}

func (o old) compute(password []byte) (sum []byte) {
	switch o.id {
	case '1':
		return crypt.KeyMD5Crypt(password, []byte(o.salt))
	case '5':
		return crypt.KeySHACrypt(sha256.New, password, []byte(o.salt), o.rounds)
	}
	return crypt.KeySHACrypt(sha512.New, password, []byte(o.salt), o.rounds)
}

// modern is a hash of yescrypt, as in /etc/shadow of today.
type modern string

// parseYescrypt takes $y$jNr$salt$sum, where N and r are digits of how much
// memory it takes: 128 bytes, times r+1, times two to the power of N+1.
func parseYescrypt(text string) (hash, bool) {
	fields := strings.Split(text, "$")
	if len(fields) != 5 || len(fields[2]) != 3 || fields[2][0] != 'j' || len(fields[3]) > 86 || len(fields[4]) != 43 {
		return nil, false
	}
	n := strings.IndexByte(cryptAlphabet, fields[2][1])
	r := strings.IndexByte(cryptAlphabet, fields[2][2])
	if n < 0 || n > 16 || r < 0 || 128*(r+1)<<(n+1) > maxMemory<<10 {
		return nil, false
	}
	return modern(text), yescrypt.Decode64([]byte(fields[3])) != nil
}

func (m modern) matches(password []byte) (bool, error) {
	if len(password) > maxCryptPassword {
		return false, nil
	}
	got, err := yescrypt.Hash(password, []byte(m))
	if err != nil {
		return false, errYescrypt
	}
	return subtle.ConstantTimeCompare(got, []byte(m)) == 1, nil
}
