package qmailsend

import (
	"time"

	"postrider/internal/figures"
	"postrider/internal/wire/parent"
	"postrider/internal/wire/spawn"
)

// takeFigures begins to count.
func (s *scheduler) takeFigures(f parent.Frame) {
	err := s.counts.Take(f.Name, f.File)
	s.post(func() {
		if err != nil {
			s.logf("warning: nothing is counted: %v", err)
			return
		}
		for _, w := range s.ways {
			s.counts.Set(figures.DeliveriesLimit, int(w.id), int64(w.limit))
		}
		s.beginCensus()
	})
}

// countDelivery counts a delivery that has ended, before its destination learns
// of that.
func (s *scheduler) countDelivery(d *delivery, c spawn.Class) {
	w := d.pass.way
	s.counts.Set(figures.DeliveriesRunning, int(w.id), int64(w.inFlight))
	s.counts.Observe(figures.DeliverySeconds, int(w.id), int64(s.now()-d.began)/int64(time.Microsecond))
	class := figures.UnknownDestination
	switch {
	case w.id == local:
		class = figures.LocalDestination
	case d.via != nil:
		class = int(d.via.to.resolved().standing)
	}
	outcome := figures.Deferral
	switch c {
	case spawn.Success, spawn.PassedOn:
		outcome = figures.Success
	case spawn.Failure:
		outcome = figures.Failure
	}
	s.counts.Add(figures.Deliveries, figures.DeliverySeries(class, outcome), 1)
}
