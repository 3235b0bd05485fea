package auth

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"postrider/internal/saslprep"
	"postrider/internal/scram"
)

// What a hash may cost at most.
const (
	maxMemory     = 64 << 10 // KiB
	maxPasses     = 16       // of argon2
	maxWork       = 256 << 10
	maxLanes      = 16
	maxBcryptCost = 13
	maxIterations = 1 << 20 // of PBKDF2
	maxKey        = 64
)

// hash is what is kept of a password.
type hash interface {
	matches(password []byte) (bool, error)
}

// named are the prefixes by which Dovecot names what follows.
var named = []string{"{ARGON2ID}", "{BLF-CRYPT}", "{CRYPT}", "{MD5-CRYPT}", "{SHA256-CRYPT}", "{SHA512-CRYPT}"}

// parseHash takes what stands behind a user.
func parseHash(text string) (hash, bool) {
	for _, name := range named {
		if rest, found := strings.CutPrefix(text, name); found {
			text = rest
			break
		}
	}
	if password, found := strings.CutPrefix(text, "{PLAIN}"); found {
		return plain(password), password != ""
	}
	if rest, found := strings.CutPrefix(text, "{SCRAM-SHA-256}"); found {
		return parseKeys(strings.Split(rest, ","))
	}
	if rest, found := strings.CutPrefix(text, "SCRAM-SHA-256$"); found { // PostgreSQL's form
		return parseKeys(strings.FieldsFunc(rest, func(c rune) bool { return c == ':' || c == '$' }))
	}
	switch id, _, _ := strings.Cut(strings.TrimPrefix(text, "$"), "$"); {
	case !strings.HasPrefix(text, "$"):
	case id == "argon2id":
		return parseArgon2(text)
	case id == "2a", id == "2b", id == "2y":
		return parseBcrypt(text)
	case id == "1", id == "5", id == "6", id == "y":
		return parseCrypt(text)
	}
	return nil, false
}

// plain is a password as it is.
type plain string

func (p plain) matches(password []byte) (bool, error) {
	return subtle.ConstantTimeCompare([]byte(saslprep.Prepare(string(p))), []byte(saslprep.Prepare(string(password)))) == 1, nil
}

// keys are those of SCRAM-SHA-256.
type keys struct{ scram.Keys }

// parseKeys takes iterations, salt, StoredKey and ServerKey.
func parseKeys(fields []string) (hash, bool) {
	if len(fields) != 4 {
		return nil, false
	}
	n, err := strconv.ParseUint(fields[0], 10, 32)
	var parts [3][]byte
	for i := range parts {
		var e error
		parts[i], e = base64.StdEncoding.DecodeString(fields[i+1])
		err = errors.Join(err, e)
	}
	k := keys{scram.Keys{Salt: parts[0], Iterations: uint32(n), Stored: parts[1], Server: parts[2]}}
	ok := err == nil && n > 0 && n <= maxIterations && len(k.Salt) > 0 && len(k.Salt) <= maxKey &&
		len(k.Stored) == scram.KeySize && len(k.Server) == scram.KeySize
	return k, ok
}

func (k keys) matches(password []byte) (bool, error) { return k.IsPassword(string(password)) }

// argon is an argon2id hash.
type argon struct {
	memory, passes uint32
	lanes          uint8
	salt, key      []byte
}

// parseArgon2 takes the PHC form: $argon2id$v=19$m=N,t=N,p=N$salt$key.
func parseArgon2(text string) (hash, bool) {
	fields := strings.Split(text, "$")
	if len(fields) != 6 || fields[2] != "v="+strconv.Itoa(argon2.Version) {
		return nil, false
	}
	var a argon
	if n, err := fmt.Sscanf(fields[3], "m=%d,t=%d,p=%d", &a.memory, &a.passes, &a.lanes); n != 3 || err != nil {
		return nil, false
	}
	var err, err2 error
	a.salt, err = base64.RawStdEncoding.DecodeString(fields[4])
	a.key, err2 = base64.RawStdEncoding.DecodeString(fields[5])
	ok := err == nil && err2 == nil && len(a.salt) >= 8 && len(a.salt) <= maxKey && len(a.key) >= 16 && len(a.key) <= maxKey &&
		a.lanes > 0 && a.lanes <= maxLanes && a.passes > 0 && a.passes <= maxPasses &&
		a.memory >= 8*uint32(a.lanes) && a.memory <= maxMemory && a.memory*a.passes <= maxWork
	return a, ok
}

func (a argon) matches(password []byte) (bool, error) {
	key := argon2.IDKey(password, a.salt, a.passes, a.memory, a.lanes, uint32(len(a.key)))
	return subtle.ConstantTimeCompare(key, a.key) == 1, nil
}

// blowfish is a bcrypt hash.
type blowfish string

func parseBcrypt(text string) (hash, bool) {
	cost, err := bcrypt.Cost([]byte(text))
	return blowfish(text), err == nil && cost <= maxBcryptCost
}

func (b blowfish) matches(password []byte) (bool, error) {
	err := bcrypt.CompareHashAndPassword([]byte(b), password)
	if err == nil || errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return err == nil, nil
	}
	return false, err
}
