package bench

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"postrider/internal/bench/load"
	"postrider/internal/bench/report"
	"postrider/internal/testhost"
)

// bigQueueLimit is how long all of TestBigQueue may take.
const bigQueueLimit = time.Hour

// TestBigQueue measures what very many messages cost that wait for a host that
// is down, all of which came by SMTP: memory and disk, what others notice of
// them, and a start. -bench-backlog=200000 is how many; without it there are few,
// to show that it works.
func TestBigQueue(t *testing.T) {
	testhost.NeedRoot(t, "disks and control groups of its own")
	if (*runBench || *runCurves) && *bigQueue == 0 {
		t.Skip("SKIPPED: only with -bench-backlog")
	}
	n := planned()
	waiting := 30
	if *bigQueue > 0 {
		waiting, n.messages, n.latencies = *bigQueue, 1500, 100
	}
	y := newYard(t, *bigQueue > 0)
	if err := y.makeMailboxes(0, n.mailboxes); err != nil {
		t.Fatal(err)
	}
	p, err := newPostrider(y, n)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), bigQueueLimit)
	defer cancel()
	turn := &turn{y: y, p: p, plan: n, res: report.NewResults(ours)}
	if err := turn.bigQueue(ctx, waiting); err != nil {
		t.Errorf("%v\n%s", err, p.logTail())
	}
	if err := turn.tidy(ctx); err != nil {
		t.Error(err)
	}
}

// notice is what the senders of local mail notice.
type notice struct{ accepted, p50, p99 float64 }

func (t *turn) notice(ctx context.Context) (n notice, err error) {
	start := time.Now()
	if err := t.inject(ctx, mailUsers(1), t.plan.messages, t.p.sessions, smallSize); err != nil {
		return n, err
	}
	n.accepted = perSecond(t.plan.messages, time.Since(start))
	if _, err := t.y.delivered(ctx, upTo(1), t.plan.messages); err != nil {
		return n, err
	}
	if err := errors.Join(t.y.emptyMailboxes(upTo(1)), t.y.settle(ctx)); err != nil {
		return n, err
	}
	a, err := t.y.loadOnce(ctx, load.Order{
		Do: load.Latency, Server: server, Messages: t.plan.latencies, Size: smallSize,
		Recipients: mailUsers(1), Dir: newDir(0), Limit: latencyLimit,
	})
	n.p50, n.p99 = report.Percentile(a.Millis, 50), report.Percentile(a.Millis, 99)
	return n, errors.Join(err, t.y.emptyMailboxes(upTo(1)), t.y.settle(ctx))
}

func (t *turn) bigQueue(ctx context.Context, waiting int) error {
	if err := errors.Join(t.freshen(ctx), t.warm(ctx)); err != nil {
		return err
	}
	before, err := t.notice(ctx)
	if err != nil {
		return err
	}
	disk, memory := t.y.host.DiskUsed(), t.byProcess()
	start := time.Now()
	if err := t.inject(ctx, []string{t.p.deadTo}, waiting, t.p.sessions, smallSize); err != nil {
		return err
	}
	rate := perSecond(waiting, time.Since(start))
	if err := errors.Join(t.stillWaiting(ctx, waiting), t.y.settle(ctx)); err != nil {
		return err
	}
	disk, grown := t.y.host.DiskUsed()-disk, t.byProcess()
	after, err := t.notice(ctx)
	if err != nil {
		return err
	}
	if err := t.p.stop(ctx); err != nil {
		return err
	}
	accepted, delivered, err := t.firsts(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%d messages wait for a host that is down; they came at %.0f/s\n", waiting, rate)
	fmt.Printf("a message: %d bytes on disk (%d of them its own), %.0f bytes of memory in all daemons, of which qmail-send %.0f\n",
		disk/int64(waiting), smallSize, each(total(grown)-total(memory), waiting), each(grown["qmail-send"]-memory["qmail-send"], waiting))
	fmt.Printf("local mail without, with them: accepted %.0f/s, %.0f/s; p50 %.2f ms, %.2f ms; p99 %.2f ms, %.2f ms\n",
		before.accepted, after.accepted, before.p50, after.p50, before.p99, after.p99)
	fmt.Printf("a start with them: first acceptance after %v, first delivery after %v\n",
		accepted.Round(time.Millisecond), delivered.Round(time.Millisecond))
	return nil
}

func each(bytes int64, n int) float64 { return float64(bytes) / float64(n) }

// byProcess returns the memory of the daemons by name; nothing where it cannot
// be seen.
func (t *turn) byProcess() map[string]int64 {
	found := make(map[string]int64)
	if t.y.group == nil {
		return found
	}
	list, err := t.y.group.Memory()
	if err != nil {
		t.y.t.Error(err)
	}
	for _, p := range list {
		found[p.Name] += p.PSS
	}
	return found
}

func total(memory map[string]int64) (sum int64) {
	for _, bytes := range memory {
		sum += bytes
	}
	return sum
}
