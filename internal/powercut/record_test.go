package powercut

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/ledger"
	"postrider/internal/testhost"
)

const (
	domain = "mx1.example"
	far    = "far.example"
	other  = "other.example"
	soon   = 60 * time.Second
)

// roots are the trees on the disk of a host that mail is written to.
var roots = []string{"/var/qmail/queue", "/home"}

// users: alice has a Maildir, carol an mbox, dave forwards to alice, erin's
// program says "not now" until a file exists, load sends and gets bounces.
var users = []string{"alice", "carol", "dave", "erin", "load"}

// station is a mail host whose file operations are recorded.
type station struct {
	t        *testing.T
	host     *testhost.Host
	sink     *testhost.Sink
	relay    *testhost.Sink // of the next host that operators name
	relayAt  string         // its address, in brackets
	sequence int
}

func newStation(t *testing.T, options ...testhost.HostOption) *station {
	t.Helper()
	testhost.NeedRoot(t, "strace of all users' processes, and disks")
	net := testhost.NewNetwork(t)
	h := net.Host(domain, options...)
	h.Install()
	h.AddUsers(users...)
	h.Control("rcpthosts", domain, far)
	h.Control("verifyrcpt", "0") // mail for nobody comes in, and bounces
	for name, text := range map[string]string{
		"alice/.qmail-default": "./Maildir/\n",
		"carol/.qmail":         "./Mailbox\n",
		"dave/.qmail":          "&alice@" + domain + "\n",
		"erin/.qmail":          "|test -e /tmp/open || exit 111\n./Maildir/\n",
	} {
		user, _, _ := strings.Cut(name, "/")
		h.WriteFile("/home/"+name, text, 0o644)
		h.Chown("/home/"+name, user)
	}
	next := net.Host(other)
	return &station{
		t: t, host: h, sink: net.Host(far).Sink(":25", nil), relay: next.Sink(":25", nil), relayAt: "[" + next.IP.String() + "]",
	}
}

// concurrency says how many deliveries may run; none keeps mail in the queue.
func (s *station) concurrency(n int) {
	s.t.Helper()
	s.host.Control("concurrencylocal", fmt.Sprint(n))
	s.host.Control("concurrencyremote", fmt.Sprint(n))
}

// clean empties the queue and the mailboxes of a host whose suite is stopped.
func (s *station) clean() {
	s.t.Helper()
	s.host.Must("find", "/var/qmail/queue/new", "/var/qmail/queue/info", "/var/qmail/queue/tmp", "/var/qmail/queue/drop",
		"/var/qmail/queue/bad", "/home", "-type", "f", "-not", "-name", ".*", "-delete")
	s.host.Must("find", "/var/qmail/queue/drop", "/var/qmail/queue/info", "-type", "f", "-delete")
	s.host.Must("rm", "-f", "/tmp/open")
}

// recording is a workload while it is recorded.
type recording struct {
	*station
	c     Case
	trace bytes.Buffer
	mu    sync.Mutex
}

// record runs work while the suite is traced from its start to its end.
// before is what had been promised; the suite must be stopped.
func (s *station) record(c Case, work func(*recording)) (*Trace, Case) {
	s.t.Helper()
	base := s.tree()
	r := &recording{station: s, c: c}
	if r.c.Places == nil {
		r.c.Places = make(map[string]Place)
	}
	work(r)
	trace, err := Parse(&r.trace, base, roots)
	if err != nil {
		s.t.Fatal(err)
	}
	if lines := trace.Last.Difference(s.tree()); len(lines) > 0 {
		s.t.Fatalf("the trace, which is first, and the disk differ:\n%s", strings.Join(lines, "\n"))
	}
	return trace, r.c
}

func (s *station) tree() *Tree {
	s.t.Helper()
	t, err := ReadTree(strings.TrimSuffix(s.host.Path("/"), "/"), roots)
	if err != nil {
		s.t.Fatal(err)
	}
	return t
}

// traced runs the suite under strace while work goes on.
func (r *recording) traced(work func()) {
	r.t.Helper()
	end := r.tracer(func(argv []string) { r.host.StartSuiteUnder(argv) })
	work()
	r.host.StopSuite()
	end()
}

// tracer calls start with the command that a traced one begins with, and
// returns a function that waits for the end of the trace.
func (r *recording) tracer(start func(argv []string)) (wait func()) {
	r.t.Helper()
	const pipe = "/run/strace" // not in a directory that is sticky
	r.host.Must("rm", "-f", pipe)
	r.host.Must("mkfifo", "-m", "666", pipe)
	// Open for both, so that no open waits; the end is seen on a second
	// descriptor, when strace has one too.
	both, err := os.OpenFile(r.host.Path(pipe), os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	reading, err := os.OpenFile(r.host.Path(pipe), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(&r.trace, reading)
		done <- err
	}()
	start(append([]string{"strace", "-D", "-o", pipe}, StraceArgs()...))
	return func() {
		r.t.Helper()
		both.Close()
		defer reading.Close()
		select {
		case err := <-done:
			if err != nil {
				r.t.Fatal(err)
			}
		case <-time.After(soon):
			r.t.Fatal("strace does not end")
		}
	}
}

// sendmail runs sendmail under strace as a user while the suite is down.
func (r *recording) sendmail(m Message) {
	r.t.Helper()
	end := r.tracer(func(argv []string) {
		argv = slices.Concat(argv, []string{"/usr/sbin/sendmail", "-f", "load@" + domain}, m.Recipients)
		r.host.MustRun(testhost.Command{Argv: argv, User: "load", Stdin: m.Text})
	})
	end()
}

// compose makes a message of about a size for these recipients. Below 100
// bytes there is no place for an id: it must have recipients of its own.
func (r *recording) compose(size int, recipients ...string) Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sequence++
	m := Message{ID: fmt.Sprintf("m%d", r.sequence)}
	if size < 100 {
		m.Text, m.Hash, m.ID = strings.Repeat("\n", size), ledger.Hash(""), ""
	} else {
		m.Text, m.Hash = ledger.Compose(m.ID, "load@"+domain, recipients[0], size)
	}
	for _, to := range recipients {
		if !strings.Contains(to, "@") {
			to += "@" + domain
		}
		m.Recipients = append(m.Recipients, to)
		r.c.Places[to] = placeOf(to)
	}
	r.c.Messages = append(r.c.Messages, m)
	return m
}

func placeOf(to string) Place {
	local, host, _ := strings.Cut(to, "@")
	user, _, _ := strings.Cut(local, "-")
	switch {
	case host == far:
		return Place{Far: true}
	case user == "carol":
		return Place{Mbox: "/home/carol/Mailbox"}
	case user == "dave":
		return Place{Maildir: "/home/alice/Maildir", Via: []string{"alice@" + domain}}
	}
	return Place{Maildir: "/home/" + user + "/Maildir"}
}

// smtp sends messages one after another on one connection.
func (r *recording) smtp(messages ...Message) error {
	ctx, cancel := context.WithTimeout(r.t.Context(), soon)
	defer cancel()
	c, err := r.host.SMTP(ctx, r.host.IP.String()+":25")
	if err != nil {
		return err
	}
	defer c.Close()
	for _, m := range messages {
		if err := c.Send("load@"+domain, m.Recipients, m.Text); err != nil {
			return fmt.Errorf("%s: %w", m.ID, err)
		}
	}
	return c.Quit()
}

// must is smtp for those who stop at an error.
func (r *recording) must(messages ...Message) {
	r.t.Helper()
	if err := r.smtp(messages...); err != nil {
		r.t.Fatal(err)
	}
}

// many sends lists of messages at the same time.
func (r *recording) many(lists ...[]Message) {
	r.t.Helper()
	var all sync.WaitGroup
	errs := make([]error, len(lists))
	for i, list := range lists {
		all.Go(func() { errs[i] = r.smtp(list...) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		r.t.Fatal(err)
	}
}

// empty waits until nothing is queued.
func (r *recording) empty() {
	r.t.Helper()
	ctx := testhost.Within(r.t, soon)
	for {
		moment, cancel := context.WithTimeout(ctx, time.Second)
		err := r.host.WaitForEmptyQueue(moment)
		cancel()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			r.t.Fatalf("the queue does not empty: %v\nlog:\n%s", r.host.Queue(), r.host.Log().Timed(0))
		}
		if err := r.host.Suite().Signal(syscall.SIGALRM); err != nil {
			r.t.Fatal(err)
		}
	}
}

// names are recipients by number.
func names(user string, n int) []string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("%s-%d", user, i))
	}
	return slices.Clip(list)
}
