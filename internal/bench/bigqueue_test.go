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

// besides is how many messages wait where the suite is measured beside Postfix.
const besides = 20_000

// arriving is how many of the messages that wait come by SMTP. More than that
// are put into the queue of the stopped suite, as the same files.
const arriving = 20_000

// TestBigQueue measures what very many messages cost that wait for a host that
// is down: memory and disk, what others notice of them, and a start; and the same
// of fewer, beside Postfix. -bench-backlog=200000 is how many; without it there
// are few, to show that it works.
func TestBigQueue(t *testing.T) {
	testhost.NeedRoot(t, "disks and control groups of its own")
	if (*runBench || *runCurves) && *bigQueue == 0 {
		t.Skip("SKIPPED: only with -bench-backlog")
	}
	n := planned()
	waiting := 30
	if *bigQueue > 0 {
		waiting, n.messages, n.latencies = *bigQueue, 3000, 300
	}
	y := newYard(t, *bigQueue > 0)
	if err := y.makeMailboxes(0, n.mailboxes); err != nil {
		t.Fatal(err)
	}
	res, peers := gather(y, n, *bigQueue > 0, ours, postfix)
	ctx, cancel := context.WithTimeout(t.Context(), bigQueueLimit)
	defer cancel()
	lines := make([][]string, len(costRows)+1)
	lines[0] = []string{"messages that wait for a host that is down"}
	for i, row := range costRows {
		lines[i+1] = []string{row.name}
	}
	for _, p := range peers {
		turn := &turn{y: y, p: p, plan: n, res: res}
		for _, waiting := range []int{besides, waiting} {
			if waiting == besides && *bigQueue == 0 || waiting > besides && p.name != ours {
				continue
			}
			c, err := turn.bigQueue(ctx, waiting)
			if err != nil {
				t.Fatalf("%s: %v\n%s", p.name, err, p.logTail())
			}
			lines[0] = append(lines[0], fmt.Sprintf("%s, %s", p.name, count(waiting)))
			for i, row := range costRows {
				lines[i+1] = append(lines[i+1], row.text(c))
			}
		}
		if p.name == ours {
			orders, err := turn.byQueuectl(ctx, waiting)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Print(report.Markdown(orders))
		}
		if err := turn.tidy(ctx); err != nil {
			t.Error(err)
		}
	}
	fmt.Print(report.Markdown(lines))
}

// queueCost is what was measured.
type queueCost struct {
	came                float64 // messages a second, while the queue fills
	disk                int64   // bytes a message
	memory, own         float64 // bytes a message: of all daemons, and of the scheduler
	before, after       notice
	accepted, delivered time.Duration // from a start
}

var costRows = []struct {
	name string
	text func(queueCost) string
}{
	{"bytes on disk for each (4,096 its own)", func(c queueCost) string { return fmt.Sprint(c.disk) }},
	{"bytes of memory for each, all daemons", func(c queueCost) string { return fmt.Sprintf("%.0f", c.memory) }},
	{"of which the scheduler (qmail-send, qmgr)", func(c queueCost) string { return fmt.Sprintf("%.0f", c.own) }},
	{"they came at, messages/s", func(c queueCost) string { return fmt.Sprintf("%.0f", c.came) }},
	{"local mail accepted without them, messages/s", func(c queueCost) string { return fmt.Sprintf("%.0f", c.before.accepted) }},
	{"with them", func(c queueCost) string { return fmt.Sprintf("%.0f", c.after.accepted) }},
	{"into the mailbox without them, p50, p99, ms", func(c queueCost) string { return fmt.Sprintf("%.2f, %.2f", c.before.p50, c.before.p99) }},
	{"with them", func(c queueCost) string { return fmt.Sprintf("%.2f, %.2f", c.after.p50, c.after.p99) }},
	{"start to first acceptance, s", func(c queueCost) string { return fmt.Sprintf("%.3f", c.accepted.Seconds()) }},
	{"start to first delivery, s", func(c queueCost) string { return fmt.Sprintf("%.3f", c.delivered.Seconds()) }},
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

// bigQueue measures with so many. Memory is compared after the same work.
func (t *turn) bigQueue(ctx context.Context, waiting int) (c queueCost, err error) {
	if err := errors.Join(t.freshen(ctx), t.warm(ctx)); err != nil {
		return c, err
	}
	if c.before, err = t.notice(ctx); err != nil {
		return c, err
	}
	memory, disk := t.byProcess(), t.y.host.DiskUsed()
	come := min(waiting, arriving)
	if waiting > come {
		if err := errors.Join(t.p.stop(ctx), t.preload(ctx, waiting-come), t.p.start(ctx)); err != nil {
			return c, err
		}
	}
	start := time.Now()
	if err := t.inject(ctx, []string{t.p.deadTo}, come, t.p.sessions, smallSize); err != nil {
		return c, err
	}
	c.came = perSecond(come, time.Since(start))
	if err := errors.Join(t.stillWaiting(ctx, waiting), t.y.settle(ctx)); err != nil {
		return c, err
	}
	c.disk = (t.y.host.DiskUsed() - disk) / int64(waiting)
	if c.after, err = t.notice(ctx); err != nil {
		return c, err
	}
	now := t.byProcess()
	c.memory, c.own = each(total(now)-total(memory), waiting), each(now[t.p.scheduler]-memory[t.p.scheduler], waiting)
	if err := t.p.stop(ctx); err != nil {
		return c, err
	}
	c.accepted, c.delivered, err = t.firsts(ctx)
	return c, errors.Join(err, t.y.emptyMailboxes(upTo(1)))
}

func each(bytes int64, n int) float64 { return float64(bytes) / float64(n) }

func total(memory map[string]int64) (sum int64) {
	for _, bytes := range memory {
		sum += bytes
	}
	return sum
}

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
