package bench

import (
	"context"
	"time"

	"postrider/internal/bench/account"
)

// meter is the state of the clocks before some work.
type meter struct{ cpu, busy time.Duration }

// meter reads the clocks of the mail system and of the machine.
func (y *yard) meter() (meter, error) {
	if y.group == nil {
		return meter{}, nil
	}
	cpu, err := y.group.CPU()
	if err != nil {
		return meter{}, err
	}
	busy, err := account.Busy()
	return meter{cpu, busy}, err
}

// charge adds what n messages have cost since, when all work is done: what is
// put off (removal from the queue, writing out) is cost too.
func (t *turn) charge(ctx context.Context, name string, since meter, n int) error {
	if err := t.p.drained(ctx); err != nil {
		return err
	}
	if err := t.y.settle(ctx); err != nil || t.y.group == nil {
		return err
	}
	now, err := t.y.meter()
	if err != nil {
		return err
	}
	t.add(name+" cpu", (now.cpu-since.cpu).Seconds()*1000/float64(n))
	t.add(name+" busy", (now.busy-since.busy).Seconds()*1000/float64(n))
	return nil
}
