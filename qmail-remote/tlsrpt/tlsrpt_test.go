package tlsrpt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postrider/internal/address"
	"postrider/internal/clock"
	"postrider/internal/tlsrpt"
	"postrider/internal/wire/call"
	"postrider/internal/wire/tlspost"
)

// calendar is a clock that the test sets.
type calendar struct {
	clock.Clock
	now time.Time
}

func (c *calendar) Now() time.Time { return c.now }

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func finding(domain, result, host string) tlsrpt.Finding {
	f := tlsrpt.Finding{Policy: tlsrpt.Policy{Type: tlsrpt.NoPolicy, Domain: domain}, Failed: result != ""}
	if f.Failed {
		f.Failure = tlsrpt.Failure{Result: result, MXHost: host, Sessions: 1}
	}
	return f
}

// counted is what a store has, a line for each domain.
func counted(s *store) string {
	var lines []string
	for domain, results := range s.domains {
		line := domain
		for _, r := range results {
			line += fmt.Sprintf(" %s %d/%d", r.Policy.Type, r.Summary.Good, r.Summary.Failed)
			for _, f := range r.Failures {
				line += fmt.Sprintf(" %s@%s=%d", f.Result, f.MXHost, f.Sessions)
			}
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return strings.Join(lines, "|")
}

func TestStore(t *testing.T) {
	t.Parallel()
	now, dir := &calendar{clock.Real(), noon}, t.TempDir()
	open := func(damaged int) *store {
		t.Helper()
		s := newStore(dir, now)
		if got, err := s.load(); got != damaged || err != nil {
			t.Errorf("%d damaged, %v", got, err)
		}
		return s
	}
	s := open(0)
	for _, f := range []tlsrpt.Finding{
		finding("a.example", "", ""), finding("a.example", "", ""), finding("a.example", tlsrpt.Expired, "mx"), finding("a.example", tlsrpt.Expired, "mx"),
		finding("a.example", tlsrpt.Expired, "mx2"), finding("b.example", "", ""),
	} {
		s.count(f)
	}
	sts := finding("a.example", "", "")
	sts.Policy.Type = tlsrpt.STS
	s.count(sts)
	const want = "a.example no-policy-found 2/3 certificate-expired@mx=2 certificate-expired@mx2=1 sts 1/0|b.example no-policy-found 1/0"
	if got := counted(s); got != want {
		t.Errorf("got %s", got)
	}
	if err := s.write(); err != nil {
		t.Fatal(err)
	}
	if got := counted(open(0)); got != want {
		t.Errorf("after a new start: %s", got)
	}
	// A damaged line costs its domain.
	text, err := os.ReadFile(dir + "/2026-11-26")
	if err != nil {
		t.Fatal(err)
	}
	text = slices.Concat([]byte("x\n"), text[:len(text)-5], []byte("\n"), slices.Repeat([]byte("y"), 2*maxLine), []byte("\n"))
	if err := os.WriteFile(dir+"/2026-11-26", text, 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(3)
	if got := counted(s); got != want[:strings.Index(want, "|")] {
		t.Errorf("of a damaged file: %s", got)
	}
	// A new day begins with nothing, and the old one stays as it was.
	s.count(finding("c.example", "", ""))
	now.now = noon.Add(24 * time.Hour)
	s.count(finding("d.example", "", ""))
	if got := counted(s); got != "d.example no-policy-found 1/0" {
		t.Errorf("the next day: %s", got)
	}
	if text, err := os.ReadFile(dir + "/2026-11-26"); err != nil || strings.Count(string(text), "\n") != 2 {
		t.Errorf("the day before: %s, %v", text, err)
	}
}

func TestStoreIsBounded(t *testing.T) {
	t.Parallel()
	s := newStore(t.TempDir(), &calendar{clock.Real(), noon})
	for i := range maxDomains + 10 {
		s.count(finding(fmt.Sprintf("d%d.example", i), "", ""))
	}
	if len(s.domains) != maxDomains || s.takeLost() != 10 {
		t.Errorf("%d domains", len(s.domains))
	}
	for i := range maxFailures + 10 {
		s.count(finding("d0.example", tlsrpt.Expired, fmt.Sprint("mx", i)))
	}
	if r := s.domains["d0.example"][0]; len(r.Failures) != maxFailures || r.Summary.Failed != maxFailures+10 {
		t.Errorf("%d failures, %d in all", len(r.Failures), r.Summary.Failed)
	}
	for i := range maxPolicies + 10 {
		f := finding("d1.example", "", "")
		f.Policy.Strings = []string{fmt.Sprint(i)}
		s.count(f)
	}
	if n := len(s.domains["d1.example"]); n != maxPolicies {
		t.Errorf("%d policies", n)
	}
	big := slices.Repeat([]string{strings.Repeat("x", tlsrpt.MaxString)}, tlsrpt.MaxStrings)
	for i := range maxDomains {
		f := finding(fmt.Sprintf("d%d.example", i), "", "")
		f.Policy.Strings, f.Policy.MXHosts = big, big
		s.count(f)
	}
	if s.size > maxSize {
		t.Errorf("%d bytes", s.size)
	}
}

// zone has TXT records; "!" is trouble.
type zone map[string]string

func (z zone) TXT(_ context.Context, name string) ([]string, error) {
	if z[name] == "!" {
		return nil, errors.New("no answer")
	}
	if z[name] == "" {
		return nil, nil
	}
	return []string{z[name]}, nil
}

// TestUnfinishedDays: what a crash has left of a day goes when that is over.
func TestUnfinishedDays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	today := noon.UTC().Format(time.DateOnly)
	for _, name := range []string{"2020-01-02", unfinished + "2020-01-02", unfinished + today, "other"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	days, err := closedDays(dir, noon)
	if err != nil || len(days) != 1 || filepath.Base(days[0].path) != "2020-01-02" {
		t.Errorf("%v, %v", days, err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 3 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestSend(t *testing.T) {
	t.Parallel()
	now, dir := &calendar{clock.Real(), noon}, t.TempDir()
	s := newStore(dir, now)
	for _, domain := range []string{"a.example", "b.example", "c.example", "none.example"} {
		s.count(finding(domain, "", ""))
	}
	if err := s.write(); err != nil {
		t.Fatal(err)
	}
	names := zone{
		"_smtp._tls.a.example": "v=TLSRPTv1; rua=mailto:r@a.example,mailto:s@a.example", "_smtp._tls.b.example": "!",
		"_smtp._tls.c.example": "v=TLSRPTv1; rua=mailto:r@c.example",
	}
	var mailed []string
	var full error
	var mu sync.Mutex
	answers := map[string]error{} // of web servers
	send := &sender{
		dir: dir, now: now.Now, delay: time.Hour,
		dns: func() (lookups, error) { return names, nil },
		settings: func() (reporter, bool, error) {
			from, err := address.New("tls@x.example")
			return reporter{Settings: tlsrpt.Settings{Contact: from, Organisation: "X"}, me: "mx.x.example", signed: true}, true, err
		},
		post: func(url string, report []byte) error {
			mu.Lock()
			defer mu.Unlock()
			mailed = append(mailed, url)
			return answers[url]
		},
		queue: func(m message) (string, error) {
			mu.Lock()
			defer mu.Unlock()
			if full != nil && m.to.String() != "r@a.example" {
				return "", full
			}
			mailed = append(mailed, m.to.String())
			return "1", nil
		},
		note: func(string) {}, trouble: func(error) {},
	}
	expect := func(what, want string, files int) {
		t.Helper()
		send.sweep(context.Background())
		slices.Sort(mailed)
		if got := strings.Join(mailed, " "); got != want {
			t.Errorf("%s: sent %s, want %s", what, got, want)
		}
		mailed = nil
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != files {
			t.Errorf("%s: files %v, %v", what, entries, err)
		}
	}
	expect("on the day", "", 1)
	now.now = noon.Add(12*time.Hour + 30*time.Minute)
	expect("before its time", "", 1)
	now.now = noon.Add(14 * time.Hour)
	full = errors.New("disk full")
	expect("no queue", "r@a.example", 2)
	full = nil
	expect("all is well but for a name server", "r@c.example s@a.example", 2)
	expect("nobody gets it twice", "", 2)
	names["_smtp._tls.b.example"] = "v=TLSRPTv1; rua=mailto:r@b.example"
	expect("the name server is back", "r@b.example", 0)

	now.now = noon
	s.count(finding("b.example", "", ""))
	if err := s.write(); err != nil {
		t.Fatal(err)
	}
	names["_smtp._tls.b.example"] = "!"
	now.now = noon.Add(4 * 24 * time.Hour)
	expect("a last time, and then no more", "r@a.example r@c.example s@a.example", 0)

	// A web server is tried again, with pauses, for a day, and others once.
	const good, busy, never = "https://good.example/", "https://busy.example/r", "https://never.example/r"
	now.now = noon
	names["_smtp._tls.b.example"] = ""
	names["_smtp._tls.a.example"] = "v=TLSRPTv1; rua=" + busy + ",mailto:r@a.example"
	names["_smtp._tls.c.example"] = "v=TLSRPTv1; rua=" + good + "," + never
	answers[busy], answers[never] = errors.New("its web server answers 503"), &tlspost.Refused{Text: "its web server answers 404"}
	for _, domain := range []string{"a.example", "b.example", "c.example"} {
		s.count(finding(domain, "", ""))
	}
	if err := s.write(); err != nil {
		t.Fatal(err)
	}
	now.now = noon.Add(14 * time.Hour)
	expect("by the web and by mail", "https://busy.example/r https://good.example/ https://never.example/r r@a.example", 2)
	now.now = now.now.Add(9 * time.Minute)
	expect("too early", "", 2)
	now.now = now.now.Add(time.Minute)
	expect("again", busy, 2)
	now.now = now.now.Add(19 * time.Minute)
	expect("the pause is longer", "", 2)
	now.now = now.now.Add(time.Minute)
	expect("and again", busy, 2)
	answers[busy] = call.ErrLost
	now.now = now.now.Add(40 * time.Minute)
	expect("nobody asks it", busy, 2)
	expect("and so it is not left alone", busy, 2)
	answers[busy] = errors.New("its web server answers 503")
	now.now = noon.Add(12*time.Hour + 25*time.Hour)
	expect("a last time", busy, 0)
}

func FuzzLine(f *testing.F) {
	f.Add([]byte(`[{"policy":{"policy-type":"sts","policy-domain":"a.example"},"summary":{"total-successful-session-count":1,"total-failure-session-count":0}}]`))
	f.Fuzz(func(t *testing.T, line []byte) {
		results, ok := parseLine(line)
		if ok && (len(results) == 0 || !results[0].Valid()) {
			t.Fatalf("%s", line)
		}
	})
}

// TestTodayCannotBeRead: what is counted meanwhile is added to it, and does not
// take its place.
func TestTodayCannotBeRead(t *testing.T) {
	t.Parallel()
	now, dir := &calendar{clock.Real(), noon}, t.TempDir()
	open := func() *store {
		s := newStore(dir, now)
		if damaged, err := s.load(); damaged > 0 || err != nil {
			t.Errorf("%d damaged, %v", damaged, err)
		}
		return s
	}
	s := open()
	s.count(finding("d.example", "", ""))
	if err := s.write(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, s.day)
	if err := errors.Join(os.Rename(file, dir+"/away"), os.Mkdir(file, 0o700)); err != nil {
		t.Fatal(err)
	}
	s = newStore(dir, now)
	if _, err := s.load(); err == nil {
		t.Fatal("a directory is read")
	}
	s.count(finding("d.example", "", ""))
	s.count(finding("d.example", "", ""))
	if _, err := s.again(); err == nil || s.write() == nil {
		t.Error("a directory is read, or written")
	}
	if err := errors.Join(os.Remove(file), os.Rename(dir+"/away", file)); err != nil {
		t.Fatal(err)
	}
	if damaged, err := s.again(); damaged > 0 || err != nil {
		t.Errorf("%d damaged, %v", damaged, err)
	}
	if err := s.write(); err != nil {
		t.Error(err)
	}
	if got := open().domains["d.example"]; len(got) != 1 || got[0].Summary.Good != 3 {
		t.Errorf("counted: %+v", got)
	}
}
