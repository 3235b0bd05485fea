package smtpd

import (
	"errors"
	"io/fs"
	"strings"

	"postrider/internal/address"
	"postrider/internal/cdb"
)

// relayRules say for which recipients mail is taken from anybody.
type relayRules struct {
	hosts       map[string]struct{} // domains, and suffixes that begin with a dot, in lower case
	database    string              // morercpthosts.cdb; empty: not used
	percentHack map[string]struct{}
	noAtHost    string // what qmail-send appends to an address without "@"
}

// takes reports whether mail for recipient is taken from a client that may
// not relay. It looks at the address that qmail-send will route: the percent
// hack applied first (spec section 2.2), so that a listed domain cannot be
// used to get at others (R49).
func (r *relayRules) takes(recipient address.Address) (bool, error) {
	path := recipient.String()
	if !recipient.HasDomain() {
		if len(r.percentHack) == 0 || !strings.Contains(path, "%") {
			return true, nil
		}
		path += "@" + r.noAtHost
	}
	at := strings.LastIndexByte(path, '@')
	local, domain := path[:at], lower(path[at+1:])
	hacked := false
	for {
		if _, found := r.percentHack[domain]; !found {
			break
		}
		percent := strings.LastIndexByte(local, '%')
		if percent < 0 {
			break
		}
		local, domain, hacked = local[:percent], lower(local[percent+1:]), true
	}
	if !recipient.HasDomain() && !hacked {
		return true, nil
	}
	return r.lists(domain)
}

// lists looks for a domain in lower case: itself, then each suffix that
// begins with a dot, first in rcpthosts, then in the database.
func (r *relayRules) lists(domain string) (bool, error) {
	found, err := eachSuffix(domain, func(name string) (bool, error) {
		_, found := r.hosts[name]
		return found, nil
	})
	if found || err != nil || r.database == "" {
		return found, err
	}
	// Opened for each use, so that a new database counts at once.
	db, err := cdb.Open(r.database)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer db.Close() // was only read
	return eachSuffix(domain, func(name string) (bool, error) {
		_, found, err := db.Get([]byte(name))
		return found, err
	})
}

// eachSuffix asks for name itself and for each suffix that begins with a dot.
func eachSuffix(domain string, has func(string) (bool, error)) (bool, error) {
	for i := range len(domain) {
		if i > 0 && domain[i] != '.' {
			continue
		}
		if found, err := has(domain[i:]); found || err != nil {
			return found, err
		}
	}
	return false, nil
}

// lower changes ASCII letters only: to Unicode the Kelvin sign is a capital k,
// to qmail-send it is another domain.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
