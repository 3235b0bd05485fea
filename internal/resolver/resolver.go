package resolver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"postrider/internal/clock"
)

const (
	maxLookup = time.Minute
	maxHops   = 10 // CNAMEs followed
	maxName   = 253
	maxLabel  = 63
)

var (
	// ErrNoName says that the name does not exist (NXDOMAIN).
	ErrNoName = errors.New("no such name")
	// ErrNoRecord says that the name exists without a record of the type.
	ErrNoRecord = errors.New("no such record")
)

// IsAnswer reports whether err is a server's final word, so that asking again
// would not help. Any other error is temporary.
func IsAnswer(err error) bool {
	return errors.Is(err, ErrNoName) || errors.Is(err, ErrNoRecord)
}

// MX is one mail exchanger. Host has no final dot; the root of a null MX
// (RFC 7505) is the empty string.
type MX struct {
	Pref uint16
	Host string
}

// Resolver looks names up. Any number of goroutines may use it.
type Resolver struct {
	config Config
	cache  *cache
}

// New returns a resolver that asks the servers of config.
func New(config Config, c clock.Clock) *Resolver {
	return &Resolver{config: config, cache: newCache(c, config.Entries)}
}

// MX returns the mail exchangers of a domain, most preferred first, at least
// one. The caller must not change the slice.
func (r *Resolver) MX(ctx context.Context, domain string) ([]MX, error) {
	found, err := r.lookup(ctx, domain, dns.TypeMX)
	return found.mx, err
}

// Addresses returns the addresses of a host, IPv4 before IPv6, at least one.
// If only one of the two kinds could be looked up, that one counts, unless it
// has no address: then nothing is known.
func (r *Resolver) Addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	type half struct {
		found records
		err   error
	}
	six := make(chan half, 1)
	go func() {
		found, err := r.lookup(ctx, host, dns.TypeAAAA)
		six <- half{found, err}
	}()
	found4, err4 := r.lookup(ctx, host, dns.TypeA)
	half6 := <-six

	addrs := append(append([]netip.Addr(nil), found4.addrs...), half6.found.addrs...)
	switch {
	case len(addrs) > 0:
		return addrs, nil
	case !IsAnswer(err4):
		return nil, err4
	case !IsAnswer(half6.err):
		return nil, half6.err
	}
	return nil, err4
}

// IPv4 returns the addresses of a name's A records, at least one.
func (r *Resolver) IPv4(ctx context.Context, name string) ([]netip.Addr, error) {
	found, err := r.lookup(ctx, name, dns.TypeA)
	return found.addrs, err
}

// TXT returns the texts of a name, at least one, each with its strings joined.
// They are hostile octets.
func (r *Resolver) TXT(ctx context.Context, name string) ([]string, error) {
	found, err := r.lookup(ctx, name, dns.TypeTXT)
	return found.texts, err
}

// Names returns the names that an address has by its PTR records, at least
// one. Who has the address decides what they are: they mean something if
// the names have the address, too.
func (r *Resolver) Names(ctx context.Context, addr netip.Addr) ([]string, error) {
	name, err := dns.ReverseAddr(addr.Unmap().WithZone("").String())
	if err != nil {
		return nil, err
	}
	found, err := r.lookup(ctx, name, dns.TypePTR)
	return found.names, err
}

// lookup returns the records of one type, from the cache or from a server.
func (r *Resolver) lookup(ctx context.Context, name string, qtype uint16) (records, error) {
	name, ok := normal(name)
	if !ok {
		return records{}, ErrNoName // no such name can exist
	}
	return r.cache.get(ctx, key{name, qtype}, func() (records, time.Duration, error) {
		// Others may wait for this too: it does not end with ctx.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxLookup)
		defer cancel()
		return r.follow(ctx, name, qtype)
	})
}

// follow asks for name and, where an answer ends in a CNAME whose target it
// does not tell, for that target.
func (r *Resolver) follow(ctx context.Context, name string, qtype uint16) (records, time.Duration, error) {
	ttl := uint32(maxTTL.Seconds())
	authentic := true
	for range maxHops {
		a, err := r.ask(ctx, question{dns.Fqdn(name), qtype, r.config.Authentic})
		if err != nil {
			return records{}, 0, err
		}
		ttl = min(ttl, a.ttl)
		authentic = authentic && a.found.authentic
		a.found.authentic = authentic
		if a.next != "" {
			name = a.next
			continue
		}
		return a.found, time.Duration(ttl) * time.Second, a.err
	}
	return records{}, 0, fmt.Errorf("%s: %w", name, errAliases)
}

// ask tries each server in turn until one answers.
func (r *Resolver) ask(ctx context.Context, q question) (answer, error) {
	err := errors.New("no name server")
	for range r.config.Attempts {
		for _, server := range r.config.Servers {
			if ctx.Err() != nil {
				return answer{}, ctx.Err()
			}
			var a answer
			if a, err = exchange(ctx, server, r.config.Timeout, q); err == nil {
				return a, nil
			}
		}
	}
	return answer{}, err
}

// normal returns a name in lower case without its final dot, and whether it is
// one that a host or mail domain can have. Names go out as they are, so a
// backslash, which would quote in a presentation format, is refused.
func normal(name string) (string, bool) {
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > maxName {
		return "", false
	}
	label := 0
	b := []byte(name)
	for i, c := range b {
		switch {
		case c == '.':
			if label == 0 {
				return "", false
			}
			label = -1
		case 'A' <= c && c <= 'Z':
			b[i] = c + 'a' - 'A'
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return "", false
		}
		if label++; label > maxLabel {
			return "", false
		}
	}
	return string(b), label > 0
}
