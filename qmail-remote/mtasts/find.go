package mtasts

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"postrider/internal/clock"
	"postrider/internal/fate"
	"postrider/internal/https"
	"postrider/internal/mtasts"
	"postrider/internal/resolver"
)

const (
	// recordTime is for the lookup of the record.
	recordTime = 20 * time.Second
	// again is how long a domain whose policy could not be fetched is not asked.
	again = 5 * time.Minute
	// stale is the age at which a policy is fetched again, though its id is the
	// same (RFC 8461 section 3.3).
	stale = 24 * time.Hour
	// maxFetches is how many fetches run at a time.
	maxFetches = 50
	// maxFailures bounds what is remembered of failures.
	maxFailures = 10000
)

var errBusy = &https.Ours{Err: errors.New("too many policies are being fetched")}

// lookups is what the DNS knows; resolver.Resolver.
type lookups interface {
	TXT(ctx context.Context, name string) ([]string, error)
	Addresses(ctx context.Context, host string) ([]netip.Addr, error)
}

// finder finds out what counts for a domain. Many goroutines may use it.
type finder struct {
	clock clock.Clock
	dns   func() (lookups, error)
	fetch func(ctx context.Context, domain string) (string, error)
	store *store
	// note tells what was learned; trouble, what could not be.
	note    func(line string)
	trouble func(error)

	mu      sync.Mutex
	flights map[string]*flight
	failed  map[string]time.Time
	fetches int
}

// flight is a question that is worked on; done closes when it is answered.
type flight struct {
	done   chan struct{}
	policy mtasts.Policy
	err    error
}

// find returns the policy of a domain. One that was asked for is asked for only
// once at a time.
func (f *finder) find(domain string) (mtasts.Policy, error) {
	f.mu.Lock()
	running, joined := f.flights[domain]
	if !joined {
		running = &flight{done: make(chan struct{})}
		f.flights[domain] = running
	}
	f.mu.Unlock()
	if joined {
		<-running.done // it has a limit of its own
		return running.policy, running.err
	}
	running.policy, running.err = f.learn(context.Background(), domain)
	f.mu.Lock()
	delete(f.flights, domain)
	f.mu.Unlock()
	close(running.done)
	return running.policy, running.err
}

// learn looks at what is kept and at the record, and fetches what is new.
func (f *finder) learn(ctx context.Context, domain string) (mtasts.Policy, error) {
	kept, known, err := f.store.use(domain, f.clock.Now())
	if err != nil {
		err = fmt.Errorf("what was kept of %s: %w", domain, err)
		f.trouble(err)
		return mtasts.Policy{}, err
	}
	id, announced, err := f.record(ctx, domain)
	if err != nil {
		return mtasts.Policy{}, err
	}
	if !announced || known && kept.id == id {
		return kept.policy, nil // without any it is that there is none
	}
	p, err := f.renew(ctx, domain, id)
	if err == nil {
		return p, nil
	}
	var here *https.Ours
	if !known && errors.As(err, &here) {
		return mtasts.Policy{}, err
	}
	return kept.policy, nil
}

// record looks for the record that there is a policy. Trouble of name servers
// is as if there were none; trouble of this machine is an error.
func (f *finder) record(ctx context.Context, domain string) (id string, announced bool, err error) {
	dns, err := f.dns()
	if err != nil {
		return "", false, err
	}
	ctx, cancel := context.WithTimeout(ctx, recordTime)
	defer cancel()
	texts, err := dns.TXT(ctx, "_mta-sts."+domain)
	if fate.IsShortage(err) {
		err = fmt.Errorf("_mta-sts.%s: %w", domain, err)
		f.trouble(err)
		return "", false, err
	}
	if err != nil {
		if !resolver.IsAnswer(err) {
			f.trouble(fmt.Errorf("_mta-sts.%s: %w", domain, err))
		}
		return "", false, nil
	}
	id, announced = mtasts.ParseRecord(texts)
	return id, announced, nil
}

// renew fetches the policy of a domain and keeps it, unless that has failed a
// moment ago.
func (f *finder) renew(ctx context.Context, domain, id string) (p mtasts.Policy, err error) {
	if err := f.begin(domain); err != nil {
		return p, err
	}
	text, err := f.fetch(ctx, domain)
	if err == nil {
		p, err = mtasts.Parse(text)
	}
	f.end(domain, err)
	if err != nil {
		err = fmt.Errorf("policy of %s: %w", domain, err)
		f.trouble(err)
		return p, err
	}
	f.note("policy domain=" + domain + " id=" + id + " mode=" + p.Mode.String() + " max_age=" + strconv.Itoa(int(p.MaxAge.Seconds())))
	if err := f.store.put(domain, entry{id: id, text: text, policy: p, fetched: f.clock.Now()}); err != nil {
		f.trouble(err) // it is kept in memory
	}
	return p, nil
}

var errAgain = errors.New("it could not be fetched a moment ago")

func (f *finder) begin(domain string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at, found := f.failed[domain]; found && f.clock.Now().Sub(at) < again {
		return errAgain
	}
	if f.fetches >= maxFetches {
		return errBusy
	}
	f.fetches++
	return nil
}

func (f *finder) end(domain string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fetches--
	delete(f.failed, domain)
	var here *https.Ours
	if err == nil || errors.As(err, &here) {
		return
	}
	if len(f.failed) >= maxFailures {
		for other := range f.failed {
			delete(f.failed, other)
			break
		}
	}
	f.failed[domain] = f.clock.Now()
}

// refresh fetches again what was fetched long ago, so that who sits between us
// and a domain must do so for ever to have its policy forgotten.
func (f *finder) refresh(ctx context.Context) {
	for _, domain := range f.store.stale(f.clock.Now()) {
		if ctx.Err() != nil {
			return
		}
		id, announced, err := f.record(ctx, domain)
		if err == nil && announced {
			_, _ = f.renew(ctx, domain, id) // an error is told, and what is kept counts
		}
	}
}
