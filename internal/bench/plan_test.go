package bench

import (
	"flag"
	"slices"
	"strings"
	"time"
)

var (
	runBench   = flag.Bool("bench-run", false, "measure all mail systems and write docs/performance.md")
	quick      = flag.Bool("bench-quick", false, "measure with few messages and write nothing")
	runFan     = flag.Bool("bench-fan", false, "measure W9 alone, beside Postfix, and write docs/performance.md")
	runCurves  = flag.Bool("bench-curves", false, "measure how cost grows and write docs/performance.md")
	bigQueue   = flag.Int("bench-backlog", 0, "measure the suite with so many messages that cannot be sent, and write nothing")
	orderQueue = flag.Int("bench-orders", 0, "measure the orders of an operator about so many messages that wait, and write nothing")
	only       = flag.String("bench-only", "", "measure only the workloads and mail systems whose names are in this comma-separated list, and write nothing; or only these curves")
)

// plan is how much is measured.
type plan struct {
	rounds     int
	mailboxes  int
	messages   int // W1, W1x100, W2
	users      int // W1x100
	calls      int // W3
	recipients int // W4
	large      int // W5
	largeSize  int
	backlog    int // W6
	latencies  int
	held       int // W8
	fanned     int // W9
	limitTime  time.Duration
	idleTime   time.Duration
}

// planned returns the plan of this run. The small one, without a flag, only
// shows that the harness works, with the suite alone.
func planned() plan {
	small := plan{
		rounds: 1, mailboxes: 20, messages: 40, users: 10, calls: 5, recipients: 20, large: 2, largeSize: 1 << 20,
		backlog: 20, latencies: 5, held: 20, fanned: 100, limitTime: 10 * time.Millisecond,
	}
	switch {
	case *quick:
		return plan{
			rounds: 1, mailboxes: 1000, messages: 400, users: 100, calls: 30, recipients: 300, large: 4, largeSize: 25 << 20,
			backlog: 1000, latencies: 50, held: 300, fanned: 500, limitTime: 500 * time.Millisecond, idleTime: 500 * time.Millisecond,
		}
	case *runBench:
		return plan{
			rounds: 5, mailboxes: 1000, messages: 1500, users: 100, calls: 100, recipients: 1000, large: 12, largeSize: 25 << 20,
			backlog: 20_000, latencies: 100, held: 1000, fanned: 5000, limitTime: time.Second, idleTime: time.Second,
		}
	}
	return small
}

const (
	workloadLimit = 5 * time.Minute // a workload with one mail system
	stepLimit     = 2 * time.Minute // a command
	settleLimit   = 15 * time.Second
	latencyLimit  = 40 * time.Second
	smallSize     = 4096
)

// fanOnly is what bench-fan measures, as bench-only has it.
const fanOnly = "W9,Postfix"

// chosen reports whether a workload or mail system is to be measured.
func chosen(name string, all []string) bool {
	names := *only
	if *runFan {
		names = fanOnly
	}
	if names == "" {
		return true
	}
	wanted := strings.Split(names, ",")
	// Who names only workloads means all mail systems, and the other way round.
	none := !slices.ContainsFunc(all, func(n string) bool { return slices.Contains(wanted, n) })
	return none || slices.Contains(wanted, name)
}
