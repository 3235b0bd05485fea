package mtasts

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"postrider/internal/clock"
	"postrider/internal/https"
	"postrider/internal/mtasts"
	"postrider/internal/resolver"
)

// web is what the DNS and web servers say in a test, at a time that it sets.
type web struct {
	clock.Clock
	mu       sync.Mutex
	now      time.Time
	records  map[string]string // domain to its record
	policies map[string]string // domain to its policy
	dnsErr   error
	fetches  []string
	hold     chan struct{} // fetches wait for its end
}

func newWeb() *web {
	return &web{Clock: clock.Real(), now: time.Unix(1e9, 0), records: make(map[string]string), policies: make(map[string]string)}
}

func (w *web) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *web) add(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *web) TXT(_ context.Context, name string) ([]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dnsErr != nil {
		return nil, w.dnsErr
	}
	record, found := w.records[strings.TrimPrefix(name, "_mta-sts.")]
	if !found {
		return nil, resolver.ErrNoName
	}
	return []string{record}, nil
}

func (w *web) Addresses(context.Context, string) ([]netip.Addr, error) {
	return nil, resolver.ErrNoName
}

func (w *web) fetch(_ context.Context, domain string) (string, error) {
	w.mu.Lock()
	w.fetches = append(w.fetches, domain)
	hold := w.hold
	text, found := w.policies[domain]
	w.mu.Unlock()
	if hold != nil {
		<-hold
	}
	if !found {
		return "", errors.New("its web server answers 404")
	}
	return text, nil
}

func (w *web) fetched() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.fetches)
}

func (w *web) set(domain, id, policy string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.records, domain)
	delete(w.policies, domain)
	if id != "" {
		w.records[domain] = "v=STSv1; id=" + id + ";"
	}
	if policy != "" {
		w.policies[domain] = policy
	}
}

func (w *web) finder(t *testing.T, dir string) *finder {
	t.Helper()
	f := &finder{
		clock: w, dns: func() (lookups, error) { return w, nil }, fetch: w.fetch, store: newStore(dir),
		note: func(line string) { t.Log(line) }, trouble: func(err error) { t.Log(err) },
		flights: make(map[string]*flight), failed: make(map[string]time.Time),
	}
	if damaged, err := f.store.load(w.Now()); err != nil || damaged > 0 {
		t.Errorf("%d damaged, %v", damaged, err)
	}
	return f
}

const week = "version: STSv1\nmode: enforce\nmx: mx.example\nmax_age: 604800\n"

func expect(t *testing.T, f *finder, want mtasts.Mode) {
	t.Helper()
	p, err := f.find("d.example")
	got := p.Mode
	if got == 0 {
		got = mtasts.None
	}
	if err != nil || got != want {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

// TestPoliciesAreKept walks a domain through its life.
func TestPoliciesAreKept(t *testing.T) {
	t.Parallel()
	w, dir := newWeb(), t.TempDir()
	f := w.finder(t, dir)
	expect(t, f, mtasts.None) // no record
	w.set("d.example", "1", "")
	expect(t, f, mtasts.None) // a record, and a first fetch that fails
	w.set("d.example", "1", week)
	expect(t, f, mtasts.None) // it is not asked again at once
	if w.fetched() != 1 {
		t.Errorf("fetched %d times", w.fetched())
	}
	w.add(again)
	expect(t, f, mtasts.Enforce)
	expect(t, f, mtasts.Enforce)
	if w.fetched() != 2 {
		t.Errorf("fetched %d times", w.fetched())
	}
	// Nothing that others do makes it forgotten.
	w.set("d.example", "", "")
	expect(t, f, mtasts.Enforce)
	w.dnsErr = errors.New("no answer")
	expect(t, f, mtasts.Enforce)
	w.dnsErr = nil
	w.set("d.example", "2", "")
	expect(t, f, mtasts.Enforce)
	w.add(again)
	w.set("d.example", "2", "<html>")
	expect(t, f, mtasts.Enforce)
	f = w.finder(t, dir) // a new start
	w.set("d.example", "", "")
	expect(t, f, mtasts.Enforce)
	// A newer one counts.
	w.set("d.example", "3", strings.Replace(week, "enforce", "testing", 1))
	expect(t, f, mtasts.Testing)
	w.set("d.example", "4", strings.Replace(week, "enforce", "none", 1))
	expect(t, f, mtasts.None)
	w.set("d.example", "5", week)
	expect(t, f, mtasts.Enforce)
	// It gets too old.
	w.set("d.example", "", "")
	w.add(7*24*time.Hour - time.Second)
	expect(t, f, mtasts.Enforce)
	w.add(time.Second)
	expect(t, f, mtasts.None)
}

// TestPoliciesAreFetchedAgain before they are too old.
func TestPoliciesAreFetchedAgain(t *testing.T) {
	t.Parallel()
	w, dir := newWeb(), t.TempDir()
	f := w.finder(t, dir)
	w.set("d.example", "1", week)
	expect(t, f, mtasts.Enforce)
	f.refresh(context.Background())
	w.add(stale)
	f.refresh(context.Background())
	if w.fetched() != 2 {
		t.Errorf("fetched %d times", w.fetched())
	}
	w.add(6 * 24 * time.Hour)
	w.set("d.example", "", "")
	f.refresh(context.Background())
	expect(t, f, mtasts.Enforce)
	w.add(24 * time.Hour)
	f.refresh(context.Background())
	expect(t, f, mtasts.None)
	if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
		t.Errorf("left: %v, %v", names, err)
	}
}

// TestDomainsThatNeverAnswer do not keep others' policies from being renewed,
// however many and old they are.
func TestDomainsThatNeverAnswer(t *testing.T) {
	t.Parallel()
	w := newWeb()
	f := w.finder(t, t.TempDir())
	w.set("d.example", "1", week)
	expect(t, f, mtasts.Enforce)
	kept := f.store.entries["d.example"]
	for i := range 2 * maxRefresh {
		e := kept
		e.fetched = e.fetched.Add(-time.Minute)
		f.store.entries[fmt.Sprintf("dead%d.example", i)] = e
	}
	w.add(stale)
	for range 3 {
		f.refresh(context.Background())
		w.add(time.Hour)
	}
	if w.fetched() != 2 {
		t.Errorf("fetched %d times", w.fetched())
	}
}

// TestManyAskAtOnce: one fetch is enough for all who ask for a domain, and not
// more than maxFetches run.
func TestManyAskAtOnce(t *testing.T) {
	t.Parallel()
	w := newWeb()
	f := w.finder(t, t.TempDir())
	w.set("d.example", "1", week)
	w.hold = make(chan struct{})
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() { expect(t, f, mtasts.Enforce) })
	}
	for w.fetched() == 0 {
		time.Sleep(time.Millisecond)
	}
	f.mu.Lock()
	f.fetches = maxFetches
	f.mu.Unlock()
	w.mu.Lock()
	w.records["busy.example"] = "v=STSv1; id=1"
	w.mu.Unlock()
	if _, err := f.find("busy.example"); !errors.Is(err, errBusy) {
		t.Errorf("got %v", err)
	}
	close(w.hold)
	all.Wait()
	if w.fetched() != 1 {
		t.Errorf("fetched %d times", w.fetched())
	}
}

// TestOwnTrouble is neither a policy nor that there is none.
func TestOwnTrouble(t *testing.T) {
	t.Parallel()
	w := newWeb()
	f := w.finder(t, t.TempDir())
	w.set("d.example", "1", week)
	f.fetch = func(context.Context, string) (string, error) {
		return "", &https.Ours{Err: errors.New("nobody is trusted")}
	}
	if _, err := f.find("d.example"); err == nil {
		t.Error("without certificate authorities")
	}
	f.fetch = w.fetch
	expect(t, f, mtasts.Enforce) // at once
	w.dnsErr = fmt.Errorf("socket: %w", syscall.EMFILE)
	if _, err := f.find("other.example"); err == nil {
		t.Error("without a socket for the DNS")
	}
	w.dnsErr = nil
	f.dns = func() (lookups, error) { return nil, errors.New("no resolv.conf") }
	if _, err := f.find("other.example"); err == nil {
		t.Error("without a resolver")
	}
}

// TestUnreadableFiles are not damaged ones: what they say is not known, until they
// can be read.
func TestUnreadableFiles(t *testing.T) {
	t.Parallel()
	w, dir := newWeb(), t.TempDir()
	f := w.finder(t, dir)
	w.set("d.example", "1", week)
	w.set("e.example", "1", week)
	expect(t, f, mtasts.Enforce)
	if _, err := f.find("e.example"); err != nil {
		t.Fatal(err)
	}
	w.set("d.example", "", "") // who has it forgotten sees to that, too
	file := dir + "/d.example"
	if err := os.Rename(file, file+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(file, 0o700); err != nil { // which opens and cannot be read
		t.Fatal(err)
	}
	if err := os.Rename(file+".away", dir+"/../away"); err != nil {
		t.Fatal(err)
	}
	f.store = newStore(dir)
	if damaged, err := f.store.load(w.Now()); err == nil || damaged > 0 {
		t.Errorf("%d damaged, %v", damaged, err)
	}
	if _, err := f.find("d.example"); err == nil {
		t.Error("what cannot be read counts for nothing")
	}
	if p, err := f.find("e.example"); err != nil || p.Mode != mtasts.Enforce {
		t.Errorf("one of the others: %v, %v", p.Mode, err)
	}
	if p, err := f.find("none.example"); err != nil || p.Mode != 0 {
		t.Errorf("one that was never kept: %v, %v", p.Mode, err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir+"/../away", file); err != nil {
		t.Fatal(err)
	}
	expect(t, f, mtasts.Enforce)
}

func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	w, dir := newWeb(), t.TempDir()
	f := w.finder(t, dir)
	w.set("d.example", "1", week)
	expect(t, f, mtasts.Enforce)
	for name, text := range map[string]string{
		"empty.example": "", "text.example": "1 x\n" + week, "policy.example": "1 1000000000\nversion: STSv1\n",
		"Capital.example": "1 1000000000\n" + week, "old.example": "1 1\n" + week, "future.example": "1 2000000000\n" + week,
		"=half.example": "1 10000", "large.example": "1 1000000000\n" + week + strings.Repeat("x: y\n", maxFile),
	} {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := newStore(dir)
	if damaged, err := s.load(w.Now()); err != nil || damaged != 5 {
		t.Errorf("%d damaged, %v", damaged, err)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 1 || names[0].Name() != "d.example" {
		t.Errorf("left: %v, %v", names, err)
	}
	// A directory that cannot be written keeps nothing from counting.
	f.store = newStore(dir + "/none")
	expect(t, f, mtasts.Enforce)
	expect(t, f, mtasts.Enforce)
}
