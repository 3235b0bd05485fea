package rcpthosts

import (
	"errors"
	"io/fs"
	"strings"

	"postrider/internal/address"
	"postrider/internal/cdb"
	"postrider/internal/control"
	"postrider/internal/idn"
)

// Hosts is the list of domains; it never changes.
type Hosts struct {
	file        string              // the control file of domains
	domains     map[string]struct{} // and suffixes that begin with a dot, by idn.Key
	database    string              // morercpthosts.cdb; empty: not used
	percentHack map[string]struct{}
	noAtHost    string // what qmail-send appends to an address without "@"
}

// New returns a list. database is the path of morercpthosts.cdb, or empty;
// percentHack and noAtHost are the control files percenthack and envnoathost.
func New(domains []string, database string, percentHack []string, noAtHost string) *Hosts {
	return &Hosts{file: "rcpthosts", domains: set(domains), database: database, percentHack: set(percentHack), noAtHost: noAtHost}
}

func set(names []string) map[string]struct{} {
	m := make(map[string]struct{}, len(names))
	for _, name := range names {
		m[idn.Key(name)] = struct{}{}
	}
	return m
}

// Load reads the list from the control files. Without rcpthosts mail is taken
// for locals, which is me if it is missing too.
func Load(dir control.Dir) (*Hosts, error) {
	hack, _, err := dir.List("percenthack")
	if err != nil {
		return nil, err
	}
	noAtHost, err := dir.LineOrMe("envnoathost", "envnoathost")
	if err != nil {
		return nil, err
	}
	domains, present, err := dir.List("rcpthosts")
	if err != nil {
		return nil, err
	}
	if present {
		return New(domains, string(dir)+"/morercpthosts.cdb", hack, noAtHost), nil
	}
	if domains, present, err = dir.List("locals"); err != nil {
		return nil, err
	}
	file := "locals"
	if !present {
		file = "me"
		me, err := dir.Line("me", "")
		if err != nil {
			return nil, err
		}
		domains = []string{me}
	}
	h := New(domains, "", hack, noAtHost)
	h.file = file
	return h, nil
}

// Takes reports whether mail for recipient is taken from a client that may
// not relay. It looks at the address that qmail-send will route: the percent
// hack applied first (spec section 2.2), so that a listed domain cannot be
// used to get at others (R49). An error means that this is not known now.
func (h *Hosts) Takes(recipient address.Address) (bool, error) {
	takes, _, err := h.Find(recipient)
	return takes, err
}

// Reason is what Takes went by.
type Reason struct {
	// File is the control file whose entry Key is for the domain; empty if none
	// is, or if none has to be.
	File, Key string
	// Hacked says that percenthack made another address of it.
	Hacked bool
}

// Find is Takes, and says by what.
func (h *Hosts) Find(recipient address.Address) (takes bool, why Reason, err error) {
	path := recipient.String()
	if !recipient.HasDomain() {
		if len(h.percentHack) == 0 || !strings.Contains(path, "%") {
			return true, Reason{}, nil
		}
		path += "@" + h.noAtHost
	}
	at := strings.LastIndexByte(path, '@')
	local, domain := path[:at], idn.Key(path[at+1:])
	hacked := false
	for {
		if _, found := h.percentHack[domain]; !found {
			break
		}
		percent := strings.LastIndexByte(local, '%')
		if percent < 0 {
			break
		}
		local, domain, hacked = local[:percent], idn.Key(local[percent+1:]), true
	}
	if !recipient.HasDomain() && !hacked {
		return true, Reason{}, nil
	}
	takes, why, err = h.lists(domain)
	why.Hacked = hacked
	return takes, why, err
}

// lists looks for the key of a domain: itself, then each suffix that
// begins with a dot, first in rcpthosts, then in the database.
func (h *Hosts) lists(domain string) (bool, Reason, error) {
	key, found, err := eachSuffix(domain, func(name string) (bool, error) {
		_, found := h.domains[name]
		return found, nil
	})
	if found {
		return true, Reason{File: h.file, Key: key}, nil
	}
	if err != nil || h.database == "" {
		return false, Reason{}, err
	}
	// Opened for each use, so that a new database counts at once.
	db, err := cdb.Open(h.database)
	if errors.Is(err, fs.ErrNotExist) {
		return false, Reason{}, nil
	}
	if err != nil {
		return false, Reason{}, err
	}
	defer db.Close() // was only read
	key, found, err = eachSuffix(domain, func(name string) (bool, error) {
		_, found, err := db.Get([]byte(name))
		return found, err
	})
	if !found {
		return false, Reason{}, err
	}
	return true, Reason{File: "morercpthosts.cdb", Key: key}, nil
}

// eachSuffix asks for name itself and for each suffix that begins with a dot,
// and returns the first that is there.
func eachSuffix(domain string, has func(string) (bool, error)) (string, bool, error) {
	for i := range len(domain) {
		if i > 0 && domain[i] != '.' {
			continue
		}
		if found, err := has(domain[i:]); found || err != nil {
			return domain[i:], found, err
		}
	}
	return "", false, nil
}
