package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"postrider/internal/bench/account"
	"postrider/internal/bench/load"
	"postrider/internal/bench/report"
	"postrider/internal/testhost"
)

// turn is one mail system's turn in a round.
type turn struct {
	y    *yard
	p    *peer
	plan plan
	res  *report.Results
	// processes are those that were there when it was idle.
	processes []account.Process
}

// workload measures one thing of a mail system that runs and has no mail.
type workload struct {
	name string
	// fresh says that it needs a mail system that has done nothing yet: what
	// memory it keeps from former work would hide what it takes.
	fresh bool
	// leaves says that it leaves a queue behind.
	leaves bool
	do     func(*turn, context.Context) error
}

// workloads in order: idle before work, those last that leave a queue behind.
func workloads() []workload {
	return []workload{
		{name: "W7", fresh: true, do: (*turn).idle},
		{name: warmUp, do: (*turn).warm},
		{name: "W1", do: func(t *turn, ctx context.Context) error { return t.inbound(ctx, "W1", 1) }},
		{name: "W1x100", do: func(t *turn, ctx context.Context) error { return t.inbound(ctx, "W1x100", t.plan.users) }},
		{name: "W2", do: (*turn).relay},
		{name: "W3", do: (*turn).sendmail},
		{name: "W4", do: (*turn).manyRecipients},
		{name: "W5", fresh: true, do: (*turn).large},
		{name: "W8", fresh: true, do: (*turn).hold},
		{name: "W6", leaves: true, do: (*turn).backlog},
		{name: "W9", fresh: true, leaves: true, do: (*turn).fanOut},
	}
}

// warmUp is no workload, but comes before those that work.
const warmUp = "warm-up"

// warm lets it start the processes that it keeps while there is work.
func (t *turn) warm(ctx context.Context) error {
	n := max(1, t.messages()/20)
	if err := t.inject(ctx, mailUsers(1), n, t.p.sessions, smallSize); err != nil {
		return err
	}
	_, err := t.y.delivered(ctx, upTo(1), n)
	return errors.Join(err, t.y.emptyMailboxes(upTo(1)))
}

func (t *turn) add(row string, value float64) {
	t.res.Add(t.p.label(), row, value)
	if *runBench {
		fmt.Printf("%-20s %-18s %.2f\n", t.p.name, row, value)
	}
}

func perSecond(n int, d time.Duration) float64 { return float64(n) / d.Seconds() }

// messages is how many this mail system gets.
func (t *turn) messages() int { return max(1, t.plan.messages/t.p.share) }

// inbound is W1: from the network into Maildirs.
func (t *turn) inbound(ctx context.Context, name string, users int) error {
	n := max(1, t.messages()/users) * users
	cost, err := t.y.meter()
	if err != nil {
		return err
	}
	start := time.Now()
	if err := t.inject(ctx, mailUsers(users), n, t.p.sessions, smallSize); err != nil {
		return err
	}
	accepted := time.Since(start)
	last, err := t.y.delivered(ctx, upTo(users), n/users)
	if err != nil {
		return err
	}
	t.add(name+" accepted", perSecond(n, accepted))
	t.add(name+" delivered", perSecond(n, last.Sub(start)))
	if err := t.charge(ctx, name, cost, n); err != nil {
		return err
	}
	return t.y.emptyMailboxes(upTo(users))
}

// relay is W2: from the network to the network.
func (t *turn) relay(ctx context.Context) error {
	n := t.messages()
	arrived, stop, err := t.startSink(ctx, n)
	if err != nil {
		return err
	}
	defer stop()
	cost, err := t.y.meter()
	if err != nil {
		return err
	}
	start := time.Now()
	if err := t.inject(ctx, []string{t.p.relayTo}, n, t.p.sessions, smallSize); err != nil {
		return err
	}
	last, err := arrived(ctx)
	if err != nil {
		return err
	}
	t.add("W2 relayed", perSecond(n, last.Sub(start)))
	return t.charge(ctx, "W2", cost, n)
}

// sendmail is W3: what a program that calls sendmail waits for.
func (t *turn) sendmail(ctx context.Context) error {
	if t.p.sendmail == nil {
		return nil
	}
	n := max(1, t.plan.calls/t.p.share)
	a, err := t.y.loadOnce(ctx, load.Order{
		Do: load.Sendmail, Messages: n, Size: smallSize, Recipients: []string{mailUser(0)}, Root: t.p.root, Argv: t.p.sendmail,
	})
	if err != nil {
		return err
	}
	t.add("W3 call", report.Median(a.Millis))
	if _, err := t.y.delivered(ctx, upTo(1), n); err != nil {
		return err
	}
	return t.y.emptyMailboxes(upTo(1))
}

// manyRecipients is W4: one message for many, from the connection to the last
// mailbox or the last acceptance by the sink.
func (t *turn) manyRecipients(ctx context.Context) error {
	n := t.plan.recipients
	send := func(recipients []string) (time.Time, error) {
		a, err := t.y.loadOnce(ctx, load.Order{
			Do: load.Send, Server: server, Messages: 1, Sessions: 1, Size: smallSize, Recipients: recipients, Each: len(recipients),
		})
		return a.Began, err
	}
	start, err := send(orAlias(t.p.localAll, mailUsers(n)))
	if err != nil {
		return err
	}
	last, err := t.y.delivered(ctx, upTo(n), 1)
	if err != nil {
		return err
	}
	t.add("W4 local", last.Sub(start).Seconds())
	if err := errors.Join(t.y.settle(ctx), t.y.emptyMailboxes(upTo(n))); err != nil {
		return err
	}
	sink, err := t.y.load(load.Order{Do: load.Sink, Server: sinkServer, Messages: n})
	if err != nil {
		return err
	}
	defer sink.end(ctx)
	if _, err := sink.answer(ctx); err != nil {
		return err
	}
	if start, err = send(orAlias(t.p.farAll, farUsers(n))); err != nil {
		return err
	}
	a, err := sink.answer(ctx)
	if err != nil {
		return err
	}
	t.add("W4 remote", a.Ended.Sub(start).Seconds())
	// The sink has yet to answer who sent the last.
	return t.p.drained(ctx)
}

func orAlias(alias string, recipients []string) []string {
	if alias != "" {
		return []string{alias}
	}
	return recipients
}

// large is W5: large messages, and how much memory they take.
func (t *turn) large(ctx context.Context) error {
	idle, err := t.memory()
	if err != nil {
		return err
	}
	var peak *account.Peak
	if t.y.group != nil {
		peak = t.y.group.Watch(100 * time.Millisecond)
	}
	start := time.Now()
	err = t.inject(ctx, mailUsers(1), t.plan.large, 4, t.plan.largeSize)
	var last time.Time
	if err == nil {
		last, err = t.y.delivered(ctx, upTo(1), t.plan.large)
	}
	if peak != nil {
		most := peak.End()
		if err == nil {
			t.add("W5 memory", megabytes(max(0, most-idle)))
		}
	}
	if err != nil {
		return err
	}
	t.add("W5 rate", megabytes(int64(t.plan.large*t.plan.largeSize))/last.Sub(start).Seconds())
	return t.y.emptyMailboxes(upTo(1))
}

// idle is W7: what it takes while nothing happens.
func (t *turn) idle(ctx context.Context) error {
	if t.y.group == nil {
		return nil
	}
	time.Sleep(t.plan.idleTime)
	list, err := t.y.group.Memory()
	if err != nil {
		return err
	}
	t.processes = list
	t.add("W7 memory", megabytes(account.Total(list)))
	t.add("W7 processes", float64(len(list)))
	return nil
}

// hold is W8: what a session costs that does nothing.
func (t *turn) hold(ctx context.Context) error {
	before, err := t.memory()
	if err != nil {
		return err
	}
	sessions, err := t.y.load(load.Order{Do: load.Hold, Server: server, Sessions: t.plan.held, Limit: 3 * time.Second})
	if err != nil {
		return err
	}
	defer sessions.end(ctx)
	a, err := sessions.answer(ctx)
	if err != nil {
		return err
	}
	time.Sleep(t.plan.idleTime)
	with, err := t.memory()
	if err != nil || t.y.group == nil {
		return err
	}
	t.add("W8 held", float64(a.Count))
	t.add("W8 session", float64(with-before)/1024/float64(a.Count))
	return nil
}

// inject sends messages of a size to the recipients in turns. smtp-source
// does, where it is there and can: to one recipient, of a mail system that does
// not refuse for now what it cannot deliver as fast.
func (t *turn) inject(ctx context.Context, recipients []string, n, sessions, size int) error {
	if t.y.tools == "" || len(recipients) > 1 || t.p.backlog > 0 {
		a, err := t.y.loadOnce(ctx, load.Order{
			Do: load.Send, Server: server, Messages: n, Sessions: sessions, Size: size, Recipients: recipients, Again: t.p.backlog > 0,
		})
		if err == nil && a.Failed > 0 {
			err = fmt.Errorf("%d of %d messages were refused: %s", a.Failed, n, a.Error)
		}
		return err
	}
	r, err := t.y.host.Run(ctx, testhost.Command{Argv: []string{
		"chroot", t.y.tools, "smtp-source", "-s", fmt.Sprint(sessions), "-m", fmt.Sprint(n), "-l", fmt.Sprint(size),
		"-f", "s@client.test", "-t", recipients[0], "inet:" + server,
	}})
	if err == nil && r.Code != 0 {
		err = fmt.Errorf("smtp-source: %v", r)
	}
	return err
}

// memory is what it takes now; 0 where it cannot be seen.
func (t *turn) memory() (int64, error) {
	if t.y.group == nil {
		return 0, nil
	}
	list, err := t.y.group.Memory()
	return account.Total(list), err
}

func megabytes(bytes int64) float64 { return float64(bytes) / 1e6 }
