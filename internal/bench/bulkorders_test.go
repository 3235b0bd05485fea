package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/bench/load"
	"postrider/internal/bench/report"
	"postrider/internal/testhost"
)

// bulkOrders are what an operator does with all messages that wait, in the order
// in which it is measured. The last one leaves none.
var bulkOrders = []struct{ what, argv string }{
	{"list all", "list"},
	{"list all as JSON", "list --json"},
	{"list those for a domain", "list --domain dead.test"},
	{"list those of a sender whom nobody is", "list --from nobody@*"},
	{"hold all", "hold --all --why trouble"},
	{"list what is held", "list --state held"},
	{"change the next host of those for a domain", "reroute --domain dead.test --via [127.0.0.3]:2526"},
	{"release those for a domain", "release --domain dead.test"},
	{"export all", "export --all"},
	{"delete all", "delete --all"},
}

// TestOrders measures what an operator's orders cost about so many messages that
// wait, all of them put into the queue of the stopped suite, and what others
// notice of it. -bench-orders=100000 is how many.
func TestOrders(t *testing.T) {
	testhost.NeedRoot(t, "disks and control groups of its own")
	if *orderQueue == 0 {
		t.Skip("SKIPPED: only with -bench-orders")
	}
	n := planned()
	y := newYard(t, true)
	if err := y.makeMailboxes(0, n.mailboxes); err != nil {
		t.Fatal(err)
	}
	res, peers := gather(y, n, true, ours)
	ctx, cancel := context.WithTimeout(t.Context(), bigQueueLimit)
	defer cancel()
	turn := &turn{y: y, p: peers[0], plan: n, res: res}
	if err := errors.Join(turn.freshen(ctx), turn.p.stop(ctx), turn.preload(ctx, *orderQueue), turn.p.start(ctx), turn.stillWaiting(ctx, *orderQueue), y.settle(ctx)); err != nil {
		t.Fatal(err)
	}
	lines, err := turn.byQueuectl(ctx, *orderQueue)
	if err != nil {
		t.Fatalf("%v\n%s", err, turn.p.logTail())
	}
	fmt.Print(report.Markdown(lines))
	if err := turn.tidy(ctx); err != nil {
		t.Error(err)
	}
}

// byQueuectl measures qmail-queuectl with so many messages that wait, and leaves
// none.
func (t *turn) byQueuectl(ctx context.Context, waiting int) ([][]string, error) {
	lines := [][]string{{"qmail-queuectl, " + count(waiting) + " messages", "s", "processor, s", "flushes of the disk", "new mail p50, p99, ms"}}
	for _, o := range bulkOrders {
		line, err := t.bulkOrder(ctx, o.argv)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", o.argv, err)
		}
		lines = append(lines, append([]string{o.what}, line...))
	}
	return lines, errors.Join(t.stillWaiting(ctx, 0), t.y.emptyMailboxes(upTo(1)))
}

// bulkOrder measures one command, while new mail for a mailbox comes in, one
// message after another.
func (t *turn) bulkOrder(ctx context.Context, argv string) ([]string, error) {
	before, err := t.y.meter()
	if err != nil {
		return nil, err
	}
	flushes, err := t.y.flushes()
	if err != nil {
		return nil, err
	}
	others, err := t.y.load(load.Order{
		Do: load.Latency, Server: server, Messages: 1_000_000, Size: smallSize,
		Recipients: mailUsers(1), Dir: newDir(0), Limit: stepLimit,
	})
	if err != nil {
		return nil, err
	}
	start := time.Now()
	r, err := t.y.host.Run(ctx, testhost.Command{Argv: t.p.grouped([]string{"sh", "-c", "/var/qmail/bin/qmail-queuectl " + argv + " > /home/queuectl"})})
	took := time.Since(start)
	if err == nil && r.Code != 0 {
		err = fmt.Errorf("exit %d: %s", r.Code, tail(r.Stderr))
	}
	others.input.Close()
	a, loadErr := others.answer(ctx)
	if err := errors.Join(err, loadErr, others.end(ctx)); err != nil {
		return nil, err
	}
	after, err1 := t.y.meter()
	flushed, err2 := t.y.flushes()
	return []string{
		fmt.Sprintf("%.1f", took.Seconds()),
		fmt.Sprintf("%.1f", (after.cpu - before.cpu).Seconds()),
		fmt.Sprint(flushed - flushes),
		latencies(a.Millis),
	}, errors.Join(err1, err2)
}

// latencies is nothing where a command was over before the first message was.
func latencies(millis []float64) string {
	if len(millis) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f, %.1f", report.Percentile(millis, 50), report.Percentile(millis, 99))
}

// flushes returns how often the disk of the host was told to write out its cache,
// which is what all syncs come down to.
func (y *yard) flushes() (n int64, err error) {
	var st unix.Stat_t
	if err := unix.Stat(y.host.Path("/var/qmail/queue"), &st); err != nil {
		return 0, err
	}
	stats, err := os.ReadFile("/proc/diskstats")
	if err != nil {
		return 0, err
	}
	major, minor := fmt.Sprint(unix.Major(st.Dev)), fmt.Sprint(unix.Minor(st.Dev))
	for line := range strings.Lines(string(stats)) {
		// Field 16 of the numbers counts flushes (Documentation/admin-guide/iostats.rst).
		if f := strings.Fields(line); len(f) > 18 && f[0] == major && f[1] == minor {
			_, err := fmt.Sscan(f[18], &n)
			return n, err
		}
	}
	return 0, fmt.Errorf("no disk %s:%s", major, minor)
}
