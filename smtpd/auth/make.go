package auth

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"

	"golang.org/x/crypto/argon2"

	"postrider/internal/scram"
)

// What new hashes cost: for argon2id what OWASP asks for, which a login can pay.
const (
	newMemory     = 19 << 10 // KiB
	newPasses     = 2
	newLanes      = 1
	newIterations = 10000 // of SCRAM: each login costs the client as much
)

// makeHash returns what stands behind a user in the file.
func makeHash(scheme, password string) (string, error) {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails
	switch scheme {
	case "argon2id":
		b64 := base64.RawStdEncoding.EncodeToString
		key := argon2.IDKey([]byte(password), salt, newPasses, newMemory, newLanes, 32)
		return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, newMemory, newPasses, newLanes, b64(salt), b64(key)), nil
	case "scram":
		b64 := base64.StdEncoding.EncodeToString
		k, err := scram.Derive(password, salt, newIterations)
		return fmt.Sprintf("{SCRAM-SHA-256}%d,%s,%s,%s", k.Iterations, b64(k.Salt), b64(k.Stored), b64(k.Server)), err
	case "plain":
		return "{PLAIN}" + password, nil
	}
	return "", fmt.Errorf("%q is none of argon2id, scram and plain", scheme)
}

// newKey returns a line with a secret for a file.
func newKey() string {
	secret := make([]byte, keySize)
	_, _ = rand.Read(secret) // never fails
	return keyWord + base64.StdEncoding.EncodeToString(secret) + "\n"
}
