package scenario

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"postrider/internal/ledger"
	"postrider/internal/testhost"
)

const (
	killRounds  = 10 // every process is killed this often
	smtpClients = 4
	callers     = 2               // of sendmail
	killLimit   = 6 * time.Minute // for everything
)

// TestNothingIsLostByKills kills every process of the suite again and again
// with SIGKILL while messages come in by SMTP and sendmail and go out into
// Maildirs, to another host and, for recipients that do not exist, back to the
// sender. Then the ledger is held against everything that is found.
func TestNothingIsLostByKills(t *testing.T) {
	net := testhost.NewNetwork(t)
	h := mailHost(t, net, "mx1.example", "alice", "bob", "load")
	h.Control("rcpthosts", "mx1.example", "far.example")
	sink := net.Host("far.example").Sink(":25", nil)
	book, err := ledger.New(t.TempDir() + "/ledger")
	if err != nil {
		t.Fatal(err)
	}
	h.StartSuite()
	ctx, cancel := context.WithTimeout(t.Context(), killLimit)
	defer cancel()
	l := &load{t: t, host: h, book: book, stop: make(chan struct{}), answered: make(chan struct{}, 1)}
	l.start(ctx)
	k := &killer{t: t, host: h, load: l}
	for range killRounds {
		for _, program := range []string{"qmail-spool", "qmail-send", "qmail-lspawn", "qmail-local", "qmail-remote", "qmail-smtpd"} {
			k.kill(ctx, program)
		}
		k.killStart(ctx)
	}
	close(l.stop)
	l.senders.Wait()
	settle(t, ctx, h)
	h.StopSuite()
	evidence := collect(t, book, h, map[string]string{
		"alice": "alice@mx1.example", "bob": "bob@mx1.example", "load": "load@mx1.example",
	}, sink)
	violations, summary := book.Check(evidence)
	t.Log(summary)
	for i, v := range violations {
		if i == 20 {
			t.Errorf("... %d violations in all", len(violations))
			break
		}
		t.Error(v)
	}
	if err := book.Close(); err != nil {
		t.Error(err)
	}
	if t.Failed() {
		keepEvidence(t, h, book)
	}
}

// settle waits until the queue is empty, telling the scheduler to try again
// what a kill deferred.
func settle(t *testing.T, ctx context.Context, h *testhost.Host) {
	t.Helper()
	for {
		if err := h.Suite().Signal(alarm); err != nil {
			t.Fatal(err)
		}
		moment, cancel := context.WithTimeout(ctx, 3*time.Second)
		err := h.WaitForEmptyQueue(moment)
		cancel()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("the queue does not empty: %v\nlog:\n%s", h.Queue(), h.Log().Timed(max(0, h.Log().Len()-200)))
		}
	}
}

// load sends messages until it is stopped.
type load struct {
	t        *testing.T
	host     *testhost.Host
	book     *ledger.Ledger
	stop     chan struct{}
	senders  sync.WaitGroup
	acked    atomic.Int64
	answered chan struct{} // a yes was read
}

func (l *load) start(ctx context.Context) {
	for n := range smtpClients {
		l.senders.Go(func() { l.run(fmt.Sprint("smtp", n), func(in ledger.Intent, text string) { l.bySMTP(ctx, in, text) }) })
	}
	for n := range callers {
		l.senders.Go(func() {
			l.run(fmt.Sprint("sendmail", n), func(in ledger.Intent, text string) { l.bySendmail(ctx, in, text) })
		})
	}
}

func (l *load) run(name string, send func(ledger.Intent, string)) {
	for n := 0; ; n++ {
		select {
		case <-l.stop:
			return
		default:
		}
		to := recipients(n)
		id := fmt.Sprintf("%s-%d", name, n)
		size := []int{600, 4096, 4096, 80_000}[rand.IntN(4)] // both sides of the queue's 64 KiB
		text, hash := ledger.Compose(id, "load@mx1.example", to[0], size)
		in := ledger.Intent{ID: id, Via: strings.TrimRight(name, "0123456789"), Sender: "load@mx1.example", Recipients: to, Hash: hash}
		l.book.Intend(in)
		send(in, text)
	}
}

// recipients are local, remote, both, and one that does not exist.
func recipients(n int) []string {
	return [][]string{
		{"alice@mx1.example"},
		{"bob@mx1.example", "alice@mx1.example"},
		{"x@far.example"},
		{"alice@mx1.example", "x@far.example", "y@far.example"},
		{"bob@mx1.example"},
		{"bob@mx1.example", "nobody@mx1.example"},
	}[n%6]
}

func (l *load) ack(id string) {
	l.book.Ack(id)
	l.acked.Add(1)
	select {
	case l.answered <- struct{}{}:
	default:
	}
}

func (l *load) bySMTP(ctx context.Context, in ledger.Intent, text string) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	c, err := l.host.SMTP(ctx, l.host.IP.String()+":25")
	if err != nil {
		l.book.Nack(in.ID, 0) // not a byte of the message was sent
		pause(ctx)
		return
	}
	defer c.Close()
	err = c.Send(in.Sender, in.Recipients, text)
	var reply *testhost.Reply
	switch {
	case err == nil:
		l.ack(in.ID)
	case errors.As(err, &reply):
		l.book.Nack(in.ID, reply.Code)
	default:
		l.book.Unknown(in.ID)
	}
}

func (l *load) bySendmail(ctx context.Context, in ledger.Intent, text string) {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	argv := append([]string{"/usr/sbin/sendmail", "-f", in.Sender}, in.Recipients...)
	r, err := l.host.Run(ctx, testhost.Command{Argv: argv, User: "load", Stdin: text})
	switch {
	case err != nil:
		l.book.Unknown(in.ID)
	case r.Code == 0:
		l.ack(in.ID)
	default:
		l.book.Nack(in.ID, r.Code)
	}
}

// killer kills and waits until what it killed runs again and mail is taken.
type killer struct {
	t    *testing.T
	host *testhost.Host
	load *load
	turn int
}

func (k *killer) kill(ctx context.Context, program string) {
	k.t.Helper()
	victims := k.running(program)
	for len(victims) == 0 { // a worker comes with the next delivery
		pause(ctx)
		if ctx.Err() != nil {
			k.t.Fatalf("no %s runs\nlog:\n%s", program, k.host.Log().Timed(max(0, k.host.Log().Len()-200)))
		}
		victims = k.running(program)
	}
	k.turn++
	first := k.host.Log().Len()
	k.load.book.Fault("kill", program)
	if err := k.host.Signal(victims[k.turn%len(victims)].PID, syscall.SIGKILL); err != nil {
		return // ended by itself meanwhile
	}
	if program != "qmail-local" {
		k.wait(ctx, first, `^qmail-start: `+program+`.* started \(pid`)
	}
	k.progress(ctx)
}

// running returns the processes of a program that the present qmail-start
// answers for. Those of one that was killed finish what they have and end; and
// a process that is about to become another program is not yet what it seems.
func (k *killer) running(program string) []testhost.ProcessInfo {
	k.t.Helper()
	parent := k.host.Suite().PID
	return slices.DeleteFunc(k.host.Daemons(), func(p testhost.ProcessInfo) bool {
		return p.Name != program || program != "qmail-local" && p.Parent != parent
	})
}

// killStart kills the parent of all; the others end, and a new one takes over
// when they have let go of locks and ports.
func (k *killer) killStart(ctx context.Context) {
	k.t.Helper()
	k.load.book.Fault("kill", "qmail-start")
	dead := k.host.Suite()
	if err := dead.Signal(syscall.SIGKILL); err != nil {
		k.t.Fatal(err)
	}
	if _, err := dead.Wait(ctx); err != nil {
		k.t.Fatal(err)
	}
	k.host.StartSuite()
	k.progress(ctx)
}

func (k *killer) wait(ctx context.Context, first int, pattern string) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, soon)
	defer cancel()
	if _, _, err := k.host.Log().Wait(ctx, first, regexp.MustCompile(pattern)); err != nil {
		k.t.Fatalf("%v\nof the log, what is not about mail:\n%s", err, supervision(k.host))
	}
}

// progress waits until some messages more were taken, so that each kill meets
// a suite at work.
func (k *killer) progress(ctx context.Context) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, soon)
	defer cancel()
	for goal := k.load.acked.Load() + 5 + rand.Int64N(20); k.load.acked.Load() < goal; {
		select {
		case <-k.load.answered:
		case <-ctx.Done():
			k.t.Fatalf("no mail is taken any more\nof the log, what is not about mail:\n%s", supervision(k.host))
		}
	}
}

// supervision are the lines that are not about one message.
func supervision(h *testhost.Host) string {
	var b strings.Builder
	lines := h.Log().Lines(0)
	for _, line := range lines {
		if !aboutMail.MatchString(line.Text) {
			fmt.Fprintf(&b, "%9.3f %s\n", line.When.Sub(lines[0].When).Seconds(), line.Text)
		}
	}
	return b.String()
}

var aboutMail = regexp.MustCompile(`^(starting delivery|delivery \d|status: local|(new|end|info|bounce) msg) `)

// keepEvidence leaves log and ledger behind for whoever looks into a failure.
func keepEvidence(t *testing.T, h *testhost.Host, _ *ledger.Ledger) {
	t.Helper()
	t.Logf("the last lines of the log:\n%s", h.Log().Timed(max(0, h.Log().Len()-100)))
}
