package bench

import (
	"context"
	"fmt"
	"time"

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

// byQueuectl measures qmail-queuectl with so many messages that wait, and leaves
// none.
func (t *turn) byQueuectl(ctx context.Context, waiting int) ([][]string, error) {
	lines := [][]string{{"qmail-queuectl, " + count(waiting) + " messages", "s"}}
	for _, o := range bulkOrders {
		start := time.Now()
		r, err := t.y.host.Run(ctx, testhost.Command{Argv: []string{"sh", "-c", "/var/qmail/bin/qmail-queuectl " + o.argv + " > /home/queuectl"}})
		if err == nil && r.Code != 0 {
			err = fmt.Errorf("exit %d: %s", r.Code, tail(r.Stderr))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", o.argv, err)
		}
		lines = append(lines, []string{o.what, fmt.Sprintf("%.1f", time.Since(start).Seconds())})
	}
	return lines, t.stillWaiting(ctx, 0)
}
