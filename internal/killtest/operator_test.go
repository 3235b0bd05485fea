package killtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"postrider/internal/ledger"
	"postrider/internal/operator"
)

// operators is how many change what waits. What they order about has one
// recipient whom the next host takes no mail for while there is load, and some
// whose mail is delivered meanwhile.
const operators = 2

// relay is the place of mail that was given another next host.
const relay = "relay"

// operate gives orders until the load ends; a course that was begun is finished.
func (l *load) operate() {
	r := rand.New(rand.NewPCG(l.seed, uint64(l.numbers.Add(1))))
	courses := operator.Courses()
	for l.ctx.Err() == nil {
		if l.queued.Load() > enough {
			pause(l.ctx, 20*time.Millisecond)
			continue
		}
		n := l.numbers.Add(1)
		c := operator.Case{
			To: fmt.Sprintf("%s%s-%d@%s", operator.Waiting, l.name, n, far), Place: relay,
			Address: fmt.Sprintf("%s-%s-%d-moved@%s", boxes[int(n)%len(boxes)], l.name, n, here),
		}
		to := []string{c.To}
		for i := range r.IntN(4) {
			to = append(to, fmt.Sprintf("%s-%s-%d-%d@%s", boxes[i%len(boxes)], l.name, n, i, here))
		}
		l.one("operator", func(ctx context.Context, in ledger.Intent, text string) {
			if l.trySMTP(ctx, in, text, plainly) {
				c.ID = in.ID
			}
		}, to, r)
		if c.ID == "" { // a kill took the answer, if there was one
			pause(l.ctx, 50*time.Millisecond)
			continue
		}
		ctx, cancel := context.WithTimeout(l.t.Context(), soon)
		if err := l.operator().Follow(ctx, courses[r.IntN(len(courses))], c, r); err != nil {
			l.t.Error(err)
		}
		cancel()
	}
}

func (l *load) operator() *operator.Operator {
	return operator.ForLedger(l.host.Host, "["+l.host.unknown.IP.String()+"]", l.book)
}
