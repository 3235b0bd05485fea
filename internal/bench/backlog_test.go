package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"postrider/internal/bench/load"
	"postrider/internal/bench/report"
)

// backlog is W6: many messages that cannot be sent; new local mail meanwhile;
// a restart with all of them.
func (t *turn) backlog(ctx context.Context) error {
	n := t.plan.backlog / t.p.share
	if t.p.share > 1 {
		n /= 2
	}
	if t.p.backlog > 0 && n > t.p.backlog {
		t.res.Note(fmt.Sprintf("%s refuses mail while more than %d messages wait: it has no W6.", t.p.name, t.p.backlog))
		return nil
	}
	start := time.Now()
	if err := t.inject(ctx, []string{t.p.deadTo}, n, t.p.sessions, smallSize); err != nil {
		return err
	}
	t.add("W6 accepted", perSecond(n, time.Since(start)))
	order := load.Order{
		Do: load.Latency, Server: server, Messages: t.plan.latencies, Size: smallSize,
		Recipients: mailUsers(1), Dir: newDir(0), Limit: latencyLimit,
	}
	a, err := t.y.loadOnce(ctx, order)
	if err != nil {
		return err
	}
	t.add("W6 p50", report.Percentile(a.Millis, 50))
	t.add("W6 p99", report.Percentile(a.Millis, 99))
	if err := errors.Join(t.y.settle(ctx), t.p.stop(ctx), t.y.emptyMailboxes(upTo(1))); err != nil {
		return err
	}
	took, err := t.firstDelivery(ctx)
	if err == nil {
		t.add("W6 restart", took.Seconds())
	}
	return err
}

// firstDelivery starts the mail system and returns how long it took until a
// message that was sent as soon as possible is in its mailbox.
func (t *turn) firstDelivery(ctx context.Context) (time.Duration, error) {
	_, delivered, err := t.firsts(ctx)
	return delivered, err
}

// firsts starts the mail system and returns how long it took until a message
// that was sent as soon as possible was accepted, and in its mailbox.
func (t *turn) firsts(ctx context.Context) (accepted, delivered time.Duration, err error) {
	client, err := t.y.load(load.Order{
		Do: load.First, Server: server, Size: smallSize, Recipients: mailUsers(1), Dir: newDir(0), Limit: latencyLimit,
	})
	if err != nil {
		return 0, 0, err
	}
	defer client.end(ctx)
	if _, err := client.answer(ctx); err != nil { // it tries from now on
		return 0, 0, err
	}
	start := time.Now()
	if err := t.p.launch(ctx); err != nil {
		return 0, 0, err
	}
	a, err := client.answer(ctx)
	return a.Began.Sub(start), a.Ended.Sub(start), err
}
