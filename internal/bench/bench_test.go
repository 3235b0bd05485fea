package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"postrider/internal/bench/account"
	"postrider/internal/bench/load"
	"postrider/internal/bench/report"
	"postrider/internal/testhost"
)

// TestMain makes the test binary the load as well.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == load.Arg {
		os.Exit(load.Main(os.Stdin, os.Stdout))
	}
	os.Exit(testhost.Main(m))
}

// TestWorkloads measures all mail systems in turns.
func TestWorkloads(t *testing.T) {
	testhost.NeedRoot(t, "disks and control groups of its own")
	if *runCurves {
		t.Skip("SKIPPED: -bench-curves measures the curves")
	}
	began := time.Now()
	n := planned()
	y := newYard(t, *runBench)
	if err := y.makeMailboxes(0, n.mailboxes); err != nil {
		t.Fatal(err)
	}
	res, peers := gather(y, n, *runBench, ours, postfix, opensmtpd, exim, chasquid)
	idle := make(map[string][]account.Process)
	for round := range n.rounds {
		if *runBench {
			fmt.Printf("round %d of %d\n", round+1, n.rounds)
		}
		if err := measureLimits(y, n, res); err != nil {
			t.Fatal(err)
		}
		for _, p := range peers {
			idle[p.name] = takeTurn(&turn{y: y, p: p, plan: n, res: res})
		}
	}
	if *runBench {
		publish(t, began, n, res, peers, idle[ours], syncsPerMessage(t, &turn{y: y, p: peers[0], plan: n, res: res}))
	}
}

// gather installs mail systems, ours alone if others are not wanted. One that
// cannot be installed is left out, aloud.
func gather(y *yard, n plan, others bool, order ...string) (*report.Results, []*peer) {
	y.t.Helper()
	type maker func(*yard, plan) (*peer, error)
	makers := map[string]maker{ours: newPostrider, postfix: newPostfix, opensmtpd: newOpenSMTPD, exim: newExim, chasquid: newChasquid}
	if !others {
		order = order[:1]
	}
	var peers []*peer
	var labels []string
	left := make(map[string]error)
	for _, name := range order {
		// Ours is what all is about, and Postfix brings the generator.
		if !chosen(name, order) && name != ours && name != postfix {
			continue
		}
		p, err := makers[name](y, n)
		switch {
		case err != nil && name == ours:
			y.t.Fatal(err)
		case err != nil:
			fmt.Printf("%s is left out: %v\n", name, err)
			left[name] = err
		case chosen(name, order) || name == ours:
			peers = append(peers, p)
			labels = append(labels, p.label())
		}
	}
	res := report.NewResults(labels...)
	for _, name := range slices.Sorted(maps.Keys(left)) {
		res.Note(name + " could not be installed.")
	}
	return res, peers
}

// takeTurn runs all workloads with one mail system, once, and returns its idle
// processes. What fails with ours fails the test; what fails with another is
// noted.
func takeTurn(t *turn) []account.Process {
	t.y.t.Helper()
	all := workloads()
	names := make([]string, len(all))
	for i, w := range all {
		names[i] = w.name
	}
	fresh := false
	for _, w := range all {
		if w.name != warmUp && !chosen(w.name, names) {
			continue
		}
		ctx, cancel := context.WithTimeout(t.y.t.Context(), workloadLimit)
		var err error
		if !fresh || w.fresh {
			err = t.freshen(ctx)
		}
		if err == nil {
			err = w.do(t, ctx)
		}
		if err == nil && !w.leaves {
			err = errors.Join(t.p.drained(ctx), t.y.settle(ctx))
		}
		cancel()
		// A failure leaves mail behind that is not the next workload's.
		fresh = err == nil
		t.failed(w.name, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), stepLimit)
	defer cancel()
	t.failed("the end", t.tidy(ctx))
	return t.processes
}

// freshen starts it with empty mailboxes and an empty queue.
func (t *turn) freshen(ctx context.Context) error {
	return errors.Join(t.tidy(ctx), t.y.settle(ctx), t.p.start(ctx))
}

// tidy stops it and removes all mail.
func (t *turn) tidy(ctx context.Context) error {
	return errors.Join(t.p.stop(ctx), t.p.wipe(), t.y.emptyMailboxes(upTo(t.plan.mailboxes)))
}

func (t *turn) failed(what string, err error) {
	t.y.t.Helper()
	switch {
	case err == nil:
	case t.p.name == ours:
		t.y.t.Errorf("%s: %v", what, err)
	default:
		fmt.Printf("%s, %s: %v\n", t.p.name, what, err)
		t.res.Note(fmt.Sprintf("%s did not finish %s in every round.", t.p.name, what))
	}
}

// measureLimits measures what the machine can do, in every round, since it
// drifts as the mail systems do.
func measureLimits(y *yard, n plan, res *report.Results) error {
	ctx, cancel := context.WithTimeout(y.t.Context(), stepLimit)
	defer cancel()
	a, err := y.loadOnce(ctx, load.Order{Do: load.Limits, Sessions: 20, Dir: "/home", Limit: n.limitTime})
	if a.Error != "" {
		err = errors.New(a.Error)
	}
	for name, rate := range a.Rates {
		res.Add(machine, name, rate)
	}
	return err
}
