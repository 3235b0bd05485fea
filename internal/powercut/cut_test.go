package powercut

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postrider/internal/ledger"
	"postrider/internal/operator"
	"postrider/internal/testhost"
)

// cutDisks are the file systems whose power is cut.
var cutDisks = []struct {
	name string
	disk testhost.Disk
}{
	{"ext4", testhost.Disk{Size: 2 << 30, FS: "ext4"}},
	{"ext4 data=writeback", testhost.Disk{Size: 2 << 30, FS: "ext4", Options: "data=writeback"}},
	{"xfs", testhost.Disk{Size: 2 << 30, FS: "xfs"}},
}

const (
	// cutsPerLedger is after how many cuts the queue is emptied and the ledger
	// held against everything.
	cutsPerLedger = 25
	cutLimit      = 6 * time.Minute // for these
)

// TestNothingIsLostByPowerCuts stops the disk again and again while messages
// come in and go out, kills every process, mounts what is left and starts the
// suite on it. Then the ledger is held against everything that is found. With
// a spool and a qmail-local that sync nothing it finds most messages lost.
func TestNothingIsLostByPowerCuts(t *testing.T) {
	for _, d := range cutDisks {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			cuts := testhost.Times(t, "power cuts", 3, 1000)
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			random := rand.New(rand.NewPCG(seed, 0))
			for ; cuts > 0 && !t.Failed(); cuts -= cutsPerLedger {
				t.Run(fmt.Sprintf("%d to go", cuts), func(t *testing.T) {
					cutUnderLoad(t, d.disk, min(cuts, cutsPerLedger), random)
				})
			}
		})
	}
}

// cutUnderLoad makes some cuts on one host, and the reckoning.
func cutUnderLoad(t *testing.T, disk testhost.Disk, cuts int, random *rand.Rand) {
	s := newStation(t, testhost.WithDisk(disk))
	s.host.Must("touch", "/tmp/open")
	s.host.Must("sync", "-f", "/var/qmail") // the programs themselves
	book, err := ledger.New(t.TempDir() + "/ledger")
	if err != nil {
		t.Fatal(err)
	}
	s.host.StartSuite()
	ctx, cancel := context.WithTimeout(t.Context(), cutLimit)
	defer cancel()
	l := startLoad(ctx, s, book)
	for range cuts {
		l.progress(ctx, 5+random.Int64N(20))
		// Somewhere between two answers.
		<-time.After(time.Duration(random.Int64N(int64(20 * time.Millisecond))))
		book.Fault("cut", "disk")
		s.host.PowerCut()
		s.host.StartSuite()
	}
	l.progress(ctx, 20)
	l.end()
	s.finish()
	s.reckon(book)
}

// finish waits until nothing is queued and stops the suite.
func (s *station) finish() {
	s.t.Helper()
	(&recording{station: s}).settle()
	s.host.StopSuite()
}

// reckon holds the ledger against everything that is found.
func (s *station) reckon(book *ledger.Ledger) {
	s.t.Helper()
	evidence := s.found(s.sink.Accepted(), s.relay.Accepted())
	for _, line := range s.host.Log().Lines(0) {
		evidence.Log = append(evidence.Log, ledger.LogLine{When: line.When, Text: line.Text})
	}
	violations, summary := book.Check(evidence)
	s.t.Log(summary)
	for i, v := range violations {
		if i == 20 {
			s.t.Errorf("... %d violations in all", len(violations))
			break
		}
		s.t.Error(v)
	}
	if err := book.Close(); err != nil {
		s.t.Error(err)
	}
	if s.t.Failed() {
		s.t.Logf("the last lines of the log:\n%s", s.host.Log().Timed(max(0, s.host.Log().Len()-100)))
	}
}

// load sends messages by SMTP and sendmail until it is ended. An operator changes
// what waits.
type load struct {
	s        *station
	book     *ledger.Ledger
	stop     chan struct{}
	senders  sync.WaitGroup
	acked    atomic.Int64
	answered chan struct{} // a yes was read
}

func startLoad(ctx context.Context, s *station, book *ledger.Ledger) *load {
	l := &load{s: s, book: book, stop: make(chan struct{}), answered: make(chan struct{}, 1)}
	for n := range 4 {
		via := [...]func(context.Context, ledger.Intent, string){l.bySMTP, l.bySMTP, l.bySMTP, l.bySendmail}[n]
		l.senders.Go(func() { l.run(ctx, n, via) })
	}
	s.sink.SetScript(operator.Closed)
	l.senders.Go(func() { l.operate(ctx) })
	return l
}

func (l *load) end() {
	close(l.stop)
	l.senders.Wait()
	l.s.sink.SetScript(nil)
}

func (l *load) run(ctx context.Context, sender int, send func(context.Context, ledger.Intent, string)) {
	for n := 0; ; n++ {
		select {
		case <-l.stop:
			return
		default:
		}
		to := [][]string{{"alice"}, {"erin", "alice-x"}, {"x@" + far}, {"alice", "x@" + far, "y@" + far}, {"alice", "nobody"}}[n%5]
		id := fmt.Sprintf("load%d-%d", sender, n)
		size := []int{600, 4096, 17_000, 80_000}[rand.IntN(4)] // around the queue's limits
		in := ledger.Intent{ID: id, Via: "load", Sender: "load@" + domain}
		for _, r := range to {
			if !strings.Contains(r, "@") {
				r += "@" + domain
			}
			in.Recipients = append(in.Recipients, r)
		}
		text, hash := ledger.Compose(id, in.Sender, in.Recipients[0], size)
		in.Hash = hash
		l.book.Intend(in)
		send(ctx, in, text)
	}
}

// operate does courses of an operator with messages that wait.
func (l *load) operate(ctx context.Context) {
	op := operator.ForLedger(l.s.host, l.s.relayAt, l.book)
	courses := operator.Courses()
	r := rand.New(rand.NewPCG(rand.Uint64(), 0))
	for n := 0; ; n++ {
		select {
		case <-l.stop:
			return
		default:
		}
		c := operator.Case{
			ID: fmt.Sprintf("operator-%d", n), To: fmt.Sprintf("%s%d@%s", operator.Waiting, n, far),
			Address: fmt.Sprintf("alice-moved-%d@%s", n, domain), Place: "relay",
		}
		in := ledger.Intent{ID: c.ID, Via: "load", Sender: "load@" + domain, Recipients: []string{c.To, "alice@" + domain}}
		var text string
		text, in.Hash = ledger.Compose(in.ID, in.Sender, c.To, 600)
		l.book.Intend(in)
		l.bySMTP(ctx, in, text)
		if !l.book.Acked(c.ID) {
			continue
		}
		within, cancel := context.WithTimeout(ctx, soon)
		if err := op.Follow(within, courses[r.IntN(len(courses))], c, r); err != nil {
			l.s.t.Error(err)
		}
		cancel()
	}
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
	ctx, cancel := context.WithTimeout(ctx, soon)
	defer cancel()
	c, err := l.s.host.SMTP(ctx, l.s.host.IP.String()+":25")
	if err != nil {
		l.book.Nack(in.ID, 0) // not a byte of the message was sent
		select {              // the suite starts
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
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

// bySendmail also leaves messages in drop/, while the suite starts.
func (l *load) bySendmail(ctx context.Context, in ledger.Intent, text string) {
	ctx, cancel := context.WithTimeout(ctx, soon)
	defer cancel()
	argv := append([]string{"/usr/sbin/sendmail", "-f", in.Sender}, in.Recipients...)
	r, err := l.s.host.Run(ctx, testhost.Command{Argv: argv, User: "load", Stdin: text})
	switch {
	case err != nil || r.Signal != 0: // killed: nobody was told anything
		l.book.Unknown(in.ID)
	case r.Code == 0:
		l.ack(in.ID)
	default:
		l.book.Nack(in.ID, r.Code)
	}
}

// progress waits until some messages more were taken, so that each cut meets a
// suite at work.
func (l *load) progress(ctx context.Context, n int64) {
	l.s.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, soon)
	defer cancel()
	for goal := l.acked.Load() + n; l.acked.Load() < goal; {
		select {
		case <-l.answered:
		case <-ctx.Done():
			l.s.t.Fatalf("no mail is taken any more\nlog:\n%s", l.s.host.Log().Timed(max(0, l.s.host.Log().Len()-100)))
		}
	}
}
