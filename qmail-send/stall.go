package qmailsend

import "slices"

// stallable reports whether p may wait in hand for d.
func (s *scheduler) stallable(p *pass, d *destination) bool {
	return !slices.Contains(p.passed, d) && p.way.stalled < maxStalled
}

// stall lets p wait in hand until a job to d ends, or time is up.
func (s *scheduler) stall(p *pass, d *destination, now moment) {
	p.stalledAt, p.stallEnd = d, now.Add(stallFor)
	p.way.stalled++
	d.stalled.Push(p)
	s.stalls = append(s.stalls, stallOf{p, p.stallEnd})
}

// stallOf is a wait of a pass in hand, which may have ended.
type stallOf struct {
	p   *pass
	end moment
}

// unstall ends the wait of p; it is in no queue then.
func (s *scheduler) unstall(p *pass) {
	if p.stalledAt != nil {
		p.stalledAt.stalled.Remove(p)
		p.stalledAt = nil
		p.way.stalled--
	}
}

// resumeStalled gives passes that wait in hand for d their turn: as many as there
// is room for, or all if they would wait longer than that.
func (s *scheduler) resumeStalled(d *destination, now moment) {
	n := d.stalled.Len()
	if d.may(now, s.destinations.share) != later {
		n = min(n, d.width()-d.jobs)
	}
	for ; n > 0; n-- {
		p := d.stalled.First()
		s.unstall(p)
		s.ready(p)
	}
}

// endStalls ends waits in hand that took too long.
func (s *scheduler) endStalls(now moment) {
	for len(s.stalls) > 0 {
		st := s.stalls[0]
		over := st.p.stalledAt == nil || st.p.stallEnd != st.end
		if !over && st.end > now {
			return
		}
		s.stalls = s.stalls[1:]
		if !over {
			st.p.passed = append(st.p.passed, st.p.stalledAt)
			s.unstall(st.p)
			s.ready(st.p)
		}
	}
}
