package killtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"postrider/internal/ledger"
	"postrider/internal/testhost"
)

const (
	soakEpoch = 20 * time.Second // of load; then the queue runs empty and is looked at
	// maxMemory is the most of one process (R42), maxGrowth the most that the
	// memory of one may grow in an hour, by a line through what it had at rest.
	maxMemory = 20 << 20
	maxGrowth = 1 << 20
	// maxMore is how many descriptors, and threads, a process may have at rest
	// more than after the first epoch.
	maxMore = 12
	// maxGoroutines is how many goroutines at once a process may have had more
	// than in the first epoch: a crowd of connections makes some dozens.
	maxGoroutines = 200
	// maxIdle is how many idle connections a qmail-remote keeps for a moment: 20
	// to each of the two next hosts.
	maxIdle = 40
)

// TestSoak lets mixed load run on one suite that is never stopped, with a
// fault every second: workers and delivery agents are killed, daemons stand
// still for a moment, clients leave in the middle, the disk is full. Whenever
// the queue has run empty the ledger must be clean, and memory, descriptors,
// threads, goroutines and disk be what they were.
func TestSoak(t *testing.T) {
	length := time.Duration(testhost.Times(t, "seconds of soak", 40, 9000)) * time.Second
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	s := &soak{t: t, random: rand.New(rand.NewPCG(seed, 0)), faults: make(map[string]int)}
	s.host = newSite(t)
	s.host.InstallMovedClock()
	s.host.StartSuite()
	var summary ledger.Summary
	begun := time.Now()
	for n := 0; time.Since(begun) < length && !t.Failed(); n++ {
		summary.Add(s.epoch(fmt.Sprint("s", n)))
		s.measure()
	}
	s.host.StopSuite()
	t.Logf("%v, %d epochs, faults %v\n%s", time.Since(begun).Round(time.Second), len(s.rests), s.faults, summary)
	s.judge()
}

// keepers live through all of it.
var keepers = []string{"qmail-start", "qmail-spool", "qmail-send", "qmail-smtpd", "qmail-tlskey", "qmail-auth", "qmail-lookup",
	"qmail-policy", "qmail-filter", "qmail-qmtpd", "qmail-qmqpd"}

type soak struct {
	t      *testing.T
	host   *site
	random *rand.Rand
	clock  time.Duration // how far the suite's is ahead
	faults map[string]int
	rests  []atRest
}

// atRest is what there is between two epochs.
type atRest struct {
	when    time.Time
	disk    int64
	daemons map[int]daemon // by pid
}

type daemon struct {
	name        string
	memory      int64
	descriptors int
	threads     int
	goroutines  int // the most at once
}

// epoch is load with faults until the queue is empty again.
func (s *soak) epoch(name string) ledger.Summary {
	s.t.Helper()
	path := s.t.TempDir() + "/ledger"
	book, err := ledger.New(path)
	if err != nil {
		s.t.Fatal(err)
	}
	first := s.host.Log().Len()
	l := newLoad(s.t, s.host, book, name, s.random.Uint64())
	l.start()
	ctx, cancel := context.WithTimeout(s.t.Context(), soakEpoch)
	for ctx.Err() == nil {
		s.fault(ctx, book)
		pause(ctx, time.Second)
	}
	cancel()
	l.end()
	s.settle()
	violations, summary := book.Check(collectResting(s.t, book, s.host, first))
	for _, v := range violations[:min(20, len(violations))] {
		s.t.Error(v)
	}
	if err := book.Close(); err != nil {
		s.t.Error(err)
	}
	if s.t.Failed() {
		keep(s.t, s.host, first, path)
	}
	if err := os.Remove(path); err != nil {
		s.t.Error(err)
	}
	s.host.Log().Forget(s.host.Log().Len())
	return summary
}

// settle waits until the queue is empty. Trouble with the disk is looked at
// again after two minutes, which the clock of the suite is moved by.
func (s *soak) settle() {
	s.t.Helper()
	ctx := testhost.Within(s.t, 2*time.Minute)
	for {
		s.clock += 3 * time.Minute
		s.host.MoveClock(s.clock)
		if err := s.host.Suite().Signal(syscall.SIGALRM); err != nil {
			s.t.Fatal(err)
		}
		err := s.host.WaitForEmptyQueue(testhost.Within(s.t, 2*time.Second))
		if err == nil {
			// Of a message progress goes last.
			err = s.host.WaitForNoProgress(testhost.Within(s.t, 2*time.Second))
		}
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			s.t.Fatalf("the queue does not empty: %v\nlog:\n%s", s.host.Queue(), s.host.Log().Timed(max(0, s.host.Log().Len()-200)))
		}
	}
}

// fault does something that the suite must bear without a restart of those who
// keep the queue.
func (s *soak) fault(ctx context.Context, book *ledger.Ledger) {
	s.t.Helper()
	what := []string{"kill qmail-local", "kill qmail-local", "kill qmail-remote", "kill qmail-lspawn", "stop a daemon", "full disk", "clients leave"}[s.random.IntN(7)]
	s.faults[what]++
	// The ledger is told when it happens, and not before: what begins in
	// between is hit as well.
	mark := func() { book.Fault("soak", what) }
	switch program, kill := strings.CutPrefix(what, "kill "); {
	case kill:
		if all := s.host.Find(program); len(all) > 0 {
			mark()
			_ = s.host.Signal(all[s.random.IntN(len(all))].PID, syscall.SIGKILL) // it may have ended
		}
	case what == "stop a daemon":
		all := s.host.Daemons()
		p := all[s.random.IntN(len(all))]
		mark()
		if s.host.Signal(p.PID, syscall.SIGSTOP) == nil {
			pause(ctx, time.Duration(200+s.random.IntN(1300))*time.Millisecond)
			mark()
			_ = s.host.Signal(p.PID, syscall.SIGCONT) // it may have been killed
		}
	case what == "full disk":
		mark()
		free := s.host.FillDisk()
		pause(ctx, time.Second)
		mark()
		free()
	default:
		mark()
		s.leave(ctx)
	}
}

// leave has clients that go away in the middle of a message.
func (s *soak) leave(ctx context.Context) {
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			c, err := s.host.Dial(ctx, "tcp", s.host.IP.String()+":25")
			if err != nil {
				return // there are too many
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(5 * time.Second))
			_, _ = c.Write([]byte("EHLO gone\r\nMAIL FROM:<>\r\nRCPT TO:<m0@" + here + ">\r\nDATA\r\n"))
			_, _ = c.Read(make([]byte, 1000))
			_, _ = c.Write([]byte("Subject: never whole\r\n\r\n" + strings.Repeat("text\r\n", 10_000)))
		})
	}
	all.Wait()
}

// measure notes what there is at rest.
func (s *soak) measure() {
	s.t.Helper()
	r := atRest{when: time.Now(), disk: s.host.DiskUsed(), daemons: make(map[int]daemon)}
	for _, p := range s.host.Daemons() {
		if p.Name != "qmail-local" { // comes and goes
			r.daemons[p.PID] = daemon{p.Name, s.host.Memory(p.PID), len(p.Files), len(p.Threads), s.host.Goroutines(p.PID)}
		}
	}
	s.rests = append(s.rests, r)
}

// judge compares what there was at rest.
func (s *soak) judge() {
	s.t.Helper()
	first, last := s.rests[0], s.rests[len(s.rests)-1]
	s.t.Logf("disk: %d kB, then %d kB", first.disk>>10, last.disk>>10)
	if more := last.disk - first.disk; more > 2<<20 {
		s.t.Errorf("the disk holds %d kB more than after the first epoch", more>>10)
	}
	for pid, now := range last.daemons {
		if now.memory > maxMemory {
			s.t.Errorf("%s has %d kB of memory", now.name, now.memory>>10)
		}
		then, old := first.daemons[pid]
		if !old {
			continue // killed meanwhile
		}
		growth, measured := s.growth(pid)
		s.t.Logf("%s: %d kB, then %d kB; descriptors %d, %d; threads %d, %d; most goroutines %d, %d", now.name,
			then.memory>>10, now.memory>>10, then.descriptors, now.descriptors, then.threads, now.threads, then.goroutines, now.goroutines)
		if measured {
			s.t.Logf("%s grows by %.0f kB an hour", now.name, growth/1024)
		}
		// Each start of a child ends a thread of qmail-start, and Go's runtime
		// takes 3 MB for the first 500 of those, and no more afterwards.
		if measured && growth > maxGrowth && now.name != "qmail-start" {
			s.t.Errorf("%s grows by %.0f kB an hour", now.name, growth/1024)
		}
		more := maxMore
		if now.name == "qmail-remote" {
			more += maxIdle
		}
		if now.descriptors > then.descriptors+more || now.threads > then.threads+maxMore {
			s.t.Errorf("%s has %d descriptors and %d threads, after the first epoch %d and %d",
				now.name, now.descriptors, now.threads, then.descriptors, then.threads)
		}
		if now.goroutines > then.goroutines+maxGoroutines {
			s.t.Errorf("%s had %d goroutines at once, in the first epoch %d", now.name, now.goroutines, then.goroutines)
		}
	}
	for pid, then := range first.daemons {
		if _, lives := last.daemons[pid]; !lives && slices.Contains(keepers, then.name) {
			s.t.Errorf("%s did not live from the first epoch to the last", then.name)
		}
	}
}

// growth is the slope of the memory of a process in bytes an hour, by least
// squares over the second half of the run: the first fills what is kept. It
// takes minutes to tell growth from noise.
func (s *soak) growth(pid int) (slope float64, measured bool) {
	half := s.rests[len(s.rests)/2:]
	begin := half[0].when
	var n, sx, sy, sxx, sxy float64
	for _, r := range half {
		d, ok := r.daemons[pid]
		if !ok {
			return 0, false
		}
		x, y := r.when.Sub(begin).Hours(), float64(d.memory)
		n, sx, sy, sxx, sxy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	if half[len(half)-1].when.Sub(begin) < 10*time.Minute {
		return 0, false
	}
	return (n*sxy - sx*sy) / (n*sxx - sx*sx), true
}
