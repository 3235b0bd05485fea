package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Key signs for a domain.
type Key struct {
	Domain   string        // d=, in ASCII
	Selector string        // s=
	Lifetime time.Duration // of a signature (x=); 0: for ever
	Signer   crypto.Signer // RSA or Ed25519
}

// What is wrong with a key or a message.
var (
	ErrKey        = errors.New("its key is neither of RSA nor of Ed25519")
	ErrManyFields = errors.New("its header has too many fields of one name")
	errSignature  = errors.New("the signature that it got is wrong")
)

// covered are the fields that are signed, those of RFC 6376 section 5.4.1 and of
// RFC 8058. One more than there are is named where another one would change what
// a reader sees, or who answers to what: then none can be added.
var covered = []struct {
	name   string
	closed bool
}{
	{"From", true}, {"Reply-To", true}, {"Subject", true}, {"Date", true}, {"To", true}, {"Cc", true},
	{"Content-Type", true}, {"Content-Transfer-Encoding", true}, {"MIME-Version", true},
	{"Sender", true}, {"Message-ID", true}, {"In-Reply-To", false}, {"References", false},
	{"Resent-Date", false}, {"Resent-From", false}, {"Resent-To", false}, {"Resent-Cc", false},
	{"List-Id", false}, {"List-Help", false}, {"List-Unsubscribe", false}, {"List-Unsubscribe-Post", false},
	{"List-Subscribe", false}, {"List-Post", false}, {"List-Owner", false}, {"List-Archive", false},
}

const (
	// maxEach is how many fields of one name are signed.
	maxEach = 50
	// lineLength is where lines of a signature are folded.
	lineLength = 76
)

// Sign returns a field DKIM-Signature for each key, with LF line ends, to go in
// front of the message.
func (m *Message) Sign(keys []Key, now time.Time) ([]byte, error) {
	names, signed, err := m.cover()
	if err != nil {
		return nil, err
	}
	var out []byte
	for _, key := range keys {
		field, err := m.signOne(key, now, names, signed)
		if err != nil {
			return nil, fmt.Errorf("selector %s: %w", key.Selector, err)
		}
		out = append(out, field...)
	}
	return out, nil
}

// cover returns the names for h= and the fields of those names, relaxed, in the
// order in which they are hashed: of one name from the bottom up.
func (h Header) cover() (names []string, relaxed []byte, err error) {
	byName := make(map[string][]int, len(h.fields))
	for at, f := range h.fields {
		byName[f.name] = append(byName[f.name], at)
	}
	for _, c := range covered {
		places := byName[lower(c.name)]
		if len(places) > maxEach {
			return nil, nil, ErrManyFields
		}
		for i := len(places) - 1; i >= 0; i-- {
			names = append(names, c.name)
			relaxed = append(appendRelaxed(relaxed, h.fields[places[i]].text), "\r\n"...)
		}
		if c.closed {
			names = append(names, c.name)
		}
	}
	return names, relaxed, nil
}

func (m *Message) signOne(key Key, now time.Time, names []string, signed []byte) ([]byte, error) {
	algorithm, opts := "", crypto.SignerOpts(crypto.SHA256)
	switch key.Signer.Public().(type) {
	case *rsa.PublicKey:
		algorithm = "rsa-sha256"
	case ed25519.PublicKey:
		algorithm, opts = "ed25519-sha256", crypto.Hash(0) // of the digest (RFC 8463 section 3)
	default:
		return nil, ErrKey
	}
	field := m.unsigned(key, algorithm, now, names)
	hash := sha256.New()
	_, _ = hash.Write(signed)                    // never fails
	_, _ = hash.Write(appendRelaxed(nil, field)) // never fails
	digest := hash.Sum(nil)
	signature, err := key.Signer.Sign(nil, digest, opts)
	if err != nil {
		return nil, err
	}
	if !verifies(key.Signer.Public(), digest, signature) {
		return nil, errSignature
	}
	f := folder{out: field, column: len("\tb=")}
	f.text(base64.StdEncoding.EncodeToString(signature))
	return append(f.out, '\n'), nil
}

func verifies(public crypto.PublicKey, digest, signature []byte) bool {
	switch public := public.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, digest, signature) == nil
	case ed25519.PublicKey:
		return ed25519.Verify(public, digest, signature)
	}
	return false
}

// unsigned returns the field with an empty b=, which is its end.
func (m *Message) unsigned(key Key, algorithm string, now time.Time, names []string) []byte {
	f := folder{}
	f.raw("DKIM-Signature: v=1; a=" + algorithm + "; c=relaxed/relaxed;")
	f.newLine()
	f.raw("d=" + key.Domain + "; s=" + key.Selector + ";")
	f.newLine()
	f.raw("t=" + strconv.FormatInt(now.Unix(), 10) + ";")
	if key.Lifetime > 0 {
		f.raw(" x=" + strconv.FormatInt(now.Add(key.Lifetime).Unix(), 10) + ";")
	}
	f.newLine()
	f.raw("h=")
	for i, name := range names {
		if i > 0 {
			name = ":" + name
		}
		f.word(name)
	}
	f.raw(";")
	f.newLine()
	f.raw("bh=" + base64.StdEncoding.EncodeToString(m.bodyHash) + ";")
	f.newLine()
	f.raw("b=")
	return f.out
}

// folder writes a field that is folded.
type folder struct {
	out    []byte
	column int
}

func (f *folder) raw(s string) {
	f.out = append(f.out, s...)
	f.column += len(s)
}

func (f *folder) newLine() {
	f.out = append(f.out, "\n\t"...)
	f.column = 1
}

// word writes what is not to be broken.
func (f *folder) word(s string) {
	if f.column+len(s) >= lineLength {
		f.newLine()
	}
	f.raw(s)
}

// text writes what may be broken anywhere.
func (f *folder) text(s string) {
	for s != "" {
		n := min(max(lineLength-f.column, 0), len(s))
		f.raw(s[:n])
		if s = s[n:]; s != "" {
			f.newLine()
		}
	}
}

// ForReports is the service of a key that signs nothing but reports about TLS (RFC
// 8460 section 3).
const ForReports = "tlsrpt"

// Record returns the text of the DNS record, at SELECTOR._domainkey.DOMAIN, of a
// public key in the form of PKIX; service is what it is for, any mail if it is
// empty (s=, RFC 6376 section 3.6.1).
func Record(public crypto.PublicKey, pkix []byte, service string) (string, error) {
	if service != "" {
		service = "s=" + service + "; "
	}
	switch public := public.(type) {
	case *rsa.PublicKey:
		return "v=DKIM1; k=rsa; " + service + "p=" + base64.StdEncoding.EncodeToString(pkix), nil
	case ed25519.PublicKey:
		return "v=DKIM1; k=ed25519; " + service + "p=" + base64.StdEncoding.EncodeToString(public), nil
	}
	return "", ErrKey
}
