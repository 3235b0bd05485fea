package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postrider/internal/bench/account"
	"postrider/internal/bench/report"
	"postrider/internal/testhost"
)

// curve is how W1 of the suite depends on one number.
type curve struct {
	name   string // of its picture
	title  string
	axis   string
	points []int
	label  func(int) string
	// measure measures one point and returns the row of the table that begins
	// with it; y is what the picture shows.
	measure func(*turn, context.Context, int) (y float64, row []string, err error)
	head    []string
	y       string
}

// tries is how often a point is measured; the median counts.
const tries = 3

func curves() []curve {
	rate := []string{"delivered/s", "accepted/s"}
	return []curve{
		{
			name: "sessions", title: "W1 by sessions", axis: "sessions at a time", label: count, head: rate, y: "delivered/s",
			points: []int{1, 2, 5, 10, 20, 50, 100, 200}, measure: (*turn).bySessions,
		},
		{
			name: "sizes", title: "W1 by the size of messages", axis: "bytes of a message", label: size, head: []string{"delivered/s", "MB/s"}, y: "MB/s",
			points:  []int{1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 5 << 20, 25 << 20, 50 << 20},
			measure: (*turn).bySize,
		},
		{
			name: "mailboxes", title: "W1 by mailboxes", axis: "mailboxes", label: count, head: rate, y: "delivered/s",
			points: []int{1, 10, 100, 1000, 10_000, 100_000}, measure: (*turn).byMailboxes,
		},
		{
			name: "queue", title: "W1 by messages that wait", axis: "messages in the queue", label: count,
			head: []string{"delivered/s", "restart to first delivery, s", "PSS of all processes, MB"}, y: "delivered/s",
			points: []int{0, 1000, 10_000, 100_000, 1_000_000}, measure: (*turn).byQueue,
		},
	}
}

// TestCurves measures how cost grows. Without a flag it takes one point of each
// curve, once, with few messages.
func TestCurves(t *testing.T) {
	testhost.NeedRoot(t, "disks and control groups of its own")
	if *runBench && !*runCurves {
		t.Skip("SKIPPED: only with -bench-curves")
	}
	began := time.Now()
	n := planned()
	y := newYard(t, *runCurves)
	if err := y.makeMailboxes(0, n.mailboxes); err != nil {
		t.Fatal(err)
	}
	p, err := newPostrider(y, n)
	if err != nil {
		t.Fatal(err)
	}
	if *runCurves {
		if _, err := newPostfix(y, n); err != nil { // for smtp-source
			t.Fatal(err)
		}
	}
	for _, c := range curves() {
		if !c.wanted() {
			continue
		}
		turn := &turn{y: y, p: p, plan: n, res: report.NewResults(ours)}
		text, picture, err := turn.draw(c)
		if err != nil {
			t.Errorf("%s: %v\n%s", c.title, err, p.logTail())
			break
		}
		if !*runCurves {
			continue
		}
		text += fmt.Sprintf("\nMeasured on %s: %s; Postrider %s; one journaled ext4 in an image file. Median of %d.\n",
			began.Format("2006-01-02"), report.Machine(), p.version, tries)
		fmt.Print("\n", text)
		if !*quick {
			err := errors.Join(
				os.WriteFile(filepath.Join(documents, c.picture()), []byte(picture), 0o644),
				report.ReplaceIn(document, "curve by "+c.name, text))
			if err != nil {
				t.Error(err)
			}
		}
	}
	if *runCurves {
		fmt.Printf("The run took %v.\n", time.Since(began).Round(time.Second))
	}
}

// wanted reports whether -bench-only names the curve, or nothing.
func (c curve) wanted() bool {
	return *only == "" || slices.Contains(strings.Split(*only, ","), c.name)
}

func (c curve) picture() string { return "performance-" + c.name + ".svg" }

// draw measures all points and returns their table and their picture.
func (t *turn) draw(c curve) (text, picture string, err error) {
	points := c.points
	switch {
	case !*runCurves:
		points = points[1:2]
	case *quick:
		points = points[:len(points)-2]
	}
	drawn := report.Curve{Title: c.title, X: c.axis, Y: c.y}
	lines := [][]string{append([]string{c.axis}, c.head...)}
	for _, x := range points {
		ctx, cancel := context.WithTimeout(t.y.t.Context(), pointLimit)
		y, row, err := c.measure(t, ctx, x)
		if err == nil {
			err = t.tidy(ctx)
		}
		cancel()
		if err != nil {
			return "", "", fmt.Errorf("%s: %w", c.label(x), err)
		}
		drawn.Points = append(drawn.Points, report.Point{X: float64(x), Y: y, Name: c.label(x)})
		lines = append(lines, append([]string{c.label(x)}, row...))
		if *runCurves {
			fmt.Printf("%s %s: %s\n", c.title, c.label(x), strings.Join(row, ", "))
		}
	}
	text = fmt.Sprintf("![%s](%s)\n\n%s", c.title, c.picture(), report.Markdown(lines))
	return text, report.Line(drawn), nil
}

// pointLimit bounds one point of a curve, with all its tries.
const pointLimit = 15 * time.Minute

// repeated measures W1 in a suite that was just started.
func (t *turn) repeated(ctx context.Context, recipients []string, users []int, n, sessions, size int) (delivered, accepted float64, err error) {
	if err := errors.Join(t.freshen(ctx), t.warm(ctx)); err != nil {
		return 0, 0, err
	}
	return t.again(ctx, recipients, users, n, sessions, size)
}

// again measures W1 several times and returns the medians.
func (t *turn) again(ctx context.Context, recipients []string, users []int, n, sessions, size int) (delivered, accepted float64, err error) {
	var ds, as []float64
	times := tries
	if !*runCurves || *quick {
		times = 1
	}
	for range times {
		start := time.Now()
		if err := t.inject(ctx, recipients, n, sessions, size); err != nil {
			return 0, 0, err
		}
		as = append(as, perSecond(n, time.Since(start)))
		last, err := t.y.delivered(ctx, users, max(1, n/len(users)))
		if err != nil {
			return 0, 0, err
		}
		ds = append(ds, perSecond(n, last.Sub(start)))
		if err := errors.Join(t.y.emptyMailboxes(users), t.y.settle(ctx)); err != nil {
			return 0, 0, err
		}
	}
	return report.Median(ds), report.Median(as), nil
}

func (t *turn) bySessions(ctx context.Context, sessions int) (float64, []string, error) {
	// Few sessions are slow, and a second of them says enough.
	n := min(t.plan.messages, 300*sessions)
	delivered, accepted, err := t.repeated(ctx, mailUsers(1), upTo(1), n, sessions, smallSize)
	return delivered, texts(delivered, accepted), err
}

// sizeBudget is how many bytes are sent for one size at most, and sizeFewest
// how many messages at least.
const (
	sizeBudget = 600 << 20
	sizeFewest = 12
)

func (t *turn) bySize(ctx context.Context, size int) (float64, []string, error) {
	n := min(t.plan.messages, max(sizeFewest, sizeBudget/size))
	sessions := min(t.p.sessions, max(4, n/10))
	delivered, _, err := t.repeated(ctx, mailUsers(1), upTo(1), n, sessions, size)
	rate := delivered * float64(size) / 1e6
	return rate, texts(delivered, rate), err
}

// byMailboxes spreads the messages over as many of the mailboxes as there are
// messages.
func (t *turn) byMailboxes(ctx context.Context, mailboxes int) (float64, []string, error) {
	if mailboxes > t.plan.mailboxes {
		if err := t.y.makeMailboxes(t.plan.mailboxes, mailboxes); err != nil {
			return 0, nil, err
		}
		t.plan.mailboxes = mailboxes
	}
	if err := assign(t.y, mailboxes); err != nil {
		return 0, nil, err
	}
	used := min(mailboxes, t.plan.messages)
	users := make([]int, used)
	recipients := make([]string, used)
	for i := range users {
		users[i] = i * (mailboxes / used)
		recipients[i] = mailUser(users[i])
	}
	n := t.plan.messages / used * used
	delivered, accepted, err := t.repeated(ctx, recipients, users, n, t.p.sessions, smallSize)
	return delivered, texts(delivered, accepted), err
}

// byQueue measures with a queue of messages that wait, which are made while
// the suite is stopped.
func (t *turn) byQueue(ctx context.Context, waiting int) (float64, []string, error) {
	if err := t.freshen(ctx); err != nil {
		return 0, nil, err
	}
	if err := errors.Join(t.p.stop(ctx), t.preload(ctx, waiting)); err != nil {
		return 0, nil, err
	}
	restart, err := t.firstDelivery(ctx)
	if err != nil {
		return 0, nil, err
	}
	if err := errors.Join(t.y.emptyMailboxes(upTo(1)), t.y.settle(ctx)); err != nil {
		return 0, nil, err
	}
	delivered, _, err := t.again(ctx, mailUsers(1), upTo(1), t.plan.messages, t.p.sessions, smallSize)
	if err != nil {
		return 0, nil, err
	}
	if err := t.stillWaiting(ctx, waiting); err != nil {
		return 0, nil, err
	}
	memory := int64(0)
	if t.y.group != nil {
		list, err := t.y.group.Memory()
		if err != nil {
			return 0, nil, err
		}
		memory = account.Total(list)
	}
	return delivered, texts(delivered, restart.Seconds(), megabytes(memory)), nil
}

// stillWaiting waits until the queue holds no more than what waits, and fails if
// it holds less.
func (t *turn) stillWaiting(ctx context.Context, waiting int) error {
	for {
		queued, _ := t.p.queued()
		if queued == waiting {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d messages are queued, and %d should wait", queued, waiting)
		case <-time.After(200 * time.Millisecond):
		}
		if queued < waiting {
			return fmt.Errorf("%d messages are queued, and %d should wait", queued, waiting)
		}
	}
}

func texts(values ...float64) []string {
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = report.Number(v)
	}
	return list
}

func count(n int) string {
	switch {
	case n >= 1_000_000:
		return fmt.Sprintf("%dM", n/1_000_000)
	case n >= 1000:
		return fmt.Sprintf("%dk", n/1000)
	}
	return fmt.Sprint(n)
}

func size(n int) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}
