// Package scram is SCRAM-SHA-256 (RFC 5802, RFC 7677) as a server speaks it: the
// messages, for who speaks with the client, and the keys, for who has them. The
// two are different processes, which is why no library fits: those for servers
// want the stored keys where the messages are parsed.
//
// What clients send is hostile; it has been bounded by the caller. Names and
// passwords are as they come: internal/saslprep is for whoever compares them.
//
// Files: messages.go, keys.go.
package scram

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Binding is what a client says of channel binding (RFC 5802 section 7).
type Binding byte

// The words of a client.
const (
	NoBinding   Binding = 'n' // it cannot
	NotOffered  Binding = 'y' // it can, and thinks that the server cannot
	WithBinding Binding = 'p'
)

var (
	errForm    = errors.New("not a message of SCRAM")
	errNonce   = errors.New("the nonce is another one")
	errBinding = errors.New("the channel binding is another one")
)

// ClientFirst is the first message of a client.
type ClientFirst struct {
	Binding Binding
	Type    string // of the channel binding, with WithBinding
	AuthzID string // as whom to act; mostly empty
	User    string
	header  string // the part in front of bare
	bare    string
	nonce   string
}

// ParseClientFirst takes "n,a=authzid,n=user,r=nonce" apart.
func ParseClientFirst(text string) (m ClientFirst, err error) {
	flag, rest, _ := strings.Cut(text, ",")
	authz, bare, found := strings.Cut(rest, ",")
	if !found || flag == "" || !utf8.ValidString(text) {
		return m, errForm
	}
	m.Binding, m.bare, m.header = Binding(flag[0]), bare, text[:len(text)-len(bare)]
	switch {
	case flag == "n", flag == "y":
	case strings.HasPrefix(flag, "p="):
		m.Type = flag[2:]
	default:
		return m, errForm
	}
	if authz != "" {
		coded, isAuthz := strings.CutPrefix(authz, "a=")
		if m.AuthzID, err = name(coded); err != nil || !isAuthz {
			return m, errForm
		}
	}
	fields := strings.Split(bare, ",")
	// An attribute "m" in front is an extension that must be understood.
	if len(fields) < 2 || !strings.HasPrefix(fields[0], "n=") || !strings.HasPrefix(fields[1], "r=") {
		return m, errForm
	}
	m.nonce = fields[1][2:]
	if m.User, err = name(fields[0][2:]); err != nil || !isNonce(m.nonce) {
		return m, errForm
	}
	return m, nil
}

// name decodes a saslname: "=2C" is a comma, "=3D" an equals sign.
func name(coded string) (string, error) {
	plain := strings.NewReplacer("=2C", "", "=3D", "").Replace(coded)
	if coded == "" || strings.Contains(plain, "=") {
		return "", errForm
	}
	return strings.NewReplacer("=2C", ",", "=3D", "=").Replace(coded), nil
}

func isNonce(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || s[i] == ',' {
			return false
		}
	}
	return s != ""
}

// ServerFirst is the answer to it; nonce is the server's part.
type ServerFirst struct {
	client ClientFirst
	nonce  string
	text   string
}

// Answer returns the server's first message.
func (m ClientFirst) Answer(nonce string, salt []byte, iterations uint32) ServerFirst {
	s := ServerFirst{client: m, nonce: m.nonce + nonce}
	s.text = "r=" + s.nonce + ",s=" + base64.StdEncoding.EncodeToString(salt) + ",i=" + strconv.FormatUint(uint64(iterations), 10)
	return s
}

func (s ServerFirst) String() string { return s.text }

// Finish takes the client's last message: it returns the proof and the
// AuthMessage that the proof is for. binding is the data of the channel binding
// that the client has named.
func (s ServerFirst) Finish(text string, binding []byte) (message string, proof []byte, err error) {
	at := strings.LastIndex(text, ",p=")
	if at < 0 {
		return "", nil, errForm
	}
	without := text[:at]
	if proof, err = base64.StdEncoding.Strict().DecodeString(text[at+3:]); err != nil || len(proof) != KeySize {
		return "", nil, errForm
	}
	fields := strings.Split(without, ",")
	if len(fields) < 2 || !strings.HasPrefix(fields[0], "c=") || !strings.HasPrefix(fields[1], "r=") {
		return "", nil, errForm
	}
	want := base64.StdEncoding.EncodeToString(append([]byte(s.client.header), binding...))
	switch {
	case fields[0][2:] != want:
		return "", nil, errBinding
	case fields[1][2:] != s.nonce:
		return "", nil, errNonce
	}
	return s.client.bare + "," + s.text + "," + without, proof, nil
}

// Final is the server's last message.
func Final(signature []byte) string { return "v=" + base64.StdEncoding.EncodeToString(signature) }
