// Package srs is the Sender Rewriting Scheme: a host that forwards mail for users
// says an address of its own as the sender, since the domain of the original one
// (SPF) does not let it send; bounces to that address come back, and go on to the
// original sender.
//
// Who may import it: qmail-send, which rewrites both ways, and qmail-lookup, which
// says at RCPT whether such an address is one of ours. Addresses are hostile; the
// secret is the administrator's and in no error.
//
// Invariants:
//
//  1. Reverse takes only what Forward made with one of the secrets and not more
//     than maxAge ago. Secrets are compared in constant time.
//  2. Reverse(Forward(s)) is s, but for the case of an address that somebody on
//     the way made small: SRS0 keeps it, and comparing hashes ignores it.
//
// The forms are
//
//	SRS0=HASH=DAY=domain=local@ours      for local@domain
//	SRS1=HASH=first==rest@ours           for SRS0=rest@first, and SRS1 of it
//
// where DAY is two digits of base 32 and HASH eight, 40 bits of an HMAC over what
// follows it.
package srs

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"strings"
	"time"
)

const (
	hashLen = 8
	// maxAge is how long a bounce may come back. The counter of days wraps
	// after maxDay.
	maxAge     = 21
	maxDay     = 32 * 32
	maxAddress = 1000
)

var (
	// ErrForged says that an address is none of ours, ErrExpired that it was.
	ErrForged  = errors.New("address was not made here")
	ErrExpired = errors.New("address has expired")
)

// Rewriter makes addresses of one domain.
type Rewriter struct {
	secrets [][]byte // the first makes, all are taken
	domain  string
	now     func() time.Time
}

// New returns a Rewriter for addresses at domain. The first secret counts, the
// others are older ones; there is one at least.
func New(secrets []string, domain string, now func() time.Time) *Rewriter {
	r := &Rewriter{domain: domain, now: now}
	for _, secret := range secrets {
		r.secrets = append(r.secrets, []byte(secret))
	}
	return r
}

// Forward returns the address that stands for sender. What has no domain but an
// address literal or nothing, is at ours already, or would become too long stays
// as it is: "#@[]" is the sender of double bounces, and must not be heard of again.
func (r *Rewriter) Forward(sender string) string {
	at := strings.LastIndexByte(sender, '@')
	if at <= 0 || at == len(sender)-1 || strings.EqualFold(sender[at+1:], r.domain) {
		return sender
	}
	local, domain := sender[:at], sender[at+1:]
	if domain[0] == '[' || strings.IndexByte(domain, '=') >= 0 {
		return sender // no domain, and it could not be told from the rest
	}
	made := r.sign("SRS0=", r.day()+"="+domain+"="+local)
	switch kind, rest := kindOf(local); kind {
	case 0:
		made = r.sign("SRS1=", domain+"="+rest)
	case 1:
		_, keep, _ := strings.Cut(rest[1:], "=") // without the hash of who made it
		if first, kept, found := strings.Cut(keep, "="); found && first != "" && kept != "" {
			made = r.sign("SRS1=", keep)
		}
	}
	if len(made) > maxAddress {
		return sender
	}
	return made
}

// kindOf tells the two forms: rest begins with the separator. It is -1 for
// another address.
func kindOf(local string) (kind int, rest string) {
	if len(local) < 6 || !strings.EqualFold(local[:3], "SRS") || strings.IndexByte("=+-", local[4]) < 0 {
		return -1, ""
	}
	switch local[3] {
	case '0':
		return 0, local[4:]
	case '1':
		return 1, local[4:]
	}
	return -1, ""
}

// IsOurs tells whether an address is at our domain and of one of the forms.
func (r *Rewriter) IsOurs(address string) bool {
	at := strings.LastIndexByte(address, '@')
	if at < 0 || !strings.EqualFold(address[at+1:], r.domain) {
		return false
	}
	kind, _ := kindOf(address[:at])
	return kind >= 0
}

// Reverse returns the sender for which an address that IsOurs stands.
func (r *Rewriter) Reverse(address string) (string, error) {
	at := strings.LastIndexByte(address, '@')
	if at < 0 || !r.IsOurs(address) {
		return "", ErrForged
	}
	kind, rest := kindOf(address[:at])
	hash, signed, found := strings.Cut(rest[1:], "=")
	if !found || !r.signed(hash, signed) {
		return "", ErrForged
	}
	first, keep, found := strings.Cut(signed, "=")
	if !found || first == "" {
		return "", ErrForged
	}
	if kind == 1 { // first==rest
		return "SRS0" + keep + "@" + first, nil
	}
	domain, local, found := strings.Cut(keep, "=")
	if !found || domain == "" || domain[0] == '[' || local == "" {
		return "", ErrForged
	}
	if !r.isYoung(first) {
		return "", ErrExpired
	}
	return local + "@" + domain, nil
}

func (r *Rewriter) sign(prefix, text string) string {
	return prefix + hash(r.secrets[0], text) + "=" + text + "@" + r.domain
}

func (r *Rewriter) signed(got, text string) bool {
	ok := false
	for _, secret := range r.secrets {
		if hmac.Equal([]byte(strings.ToUpper(got)), []byte(hash(secret, text))) {
			ok = true
		}
	}
	return ok
}

// hash does not depend on the case of letters, which relays may change.
func hash(secret []byte, text string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(strings.ToLower(text)))
	return base32.StdEncoding.EncodeToString(mac.Sum(nil))[:hashLen]
}

const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

func (r *Rewriter) today() int { return int(r.now().Unix() / 86400 % maxDay) }

func (r *Rewriter) day() string {
	n := r.today()
	return string([]byte{digits[n/32], digits[n%32]})
}

func (r *Rewriter) isYoung(day string) bool {
	if len(day) != 2 {
		return false
	}
	day = strings.ToUpper(day)
	high, low := strings.IndexByte(digits, day[0]), strings.IndexByte(digits, day[1])
	if high < 0 || low < 0 {
		return false
	}
	// One day more for a clock that was set back.
	age := (r.today() - high*32 - low + maxDay + 1) % maxDay
	return age <= maxAge+1
}
