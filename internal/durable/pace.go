package durable

import "time"

// syncfs waits for everybody's dirty pages. When a neighbour writes much, the
// files of the group alone are cheaper, until it has calmed down.
const (
	tolerated   = 20 * time.Millisecond // a syncfs this short is never judged
	slowFactor  = 4                     // syncfs against the sum of single syncs
	unknownSync = 10 * time.Millisecond // a single sync, before one was measured
	shortAvoid  = time.Second
	longAvoid   = time.Minute
)

// pace decides whether a group is worth a syncfs.
type pace struct {
	single     time.Duration // moving average for one member synced by itself
	avoidUntil time.Time
	avoid      time.Duration
}

func (p *pace) worthwhile(now time.Time) bool { return !now.Before(p.avoidUntil) }

// took records how long a sync for so many members lasted.
func (p *pace) took(all bool, members int, took time.Duration, now time.Time) {
	if !all {
		one := took / time.Duration(max(members, 1))
		if p.single == 0 {
			p.single = one
		}
		p.single += (one - p.single) / 8
		return
	}
	single := p.single
	if single == 0 {
		single = unknownSync
	}
	if took <= tolerated || took <= slowFactor*single*time.Duration(members) {
		p.avoid = 0
		return
	}
	p.avoid = min(max(2*p.avoid, shortAvoid), longAvoid)
	p.avoidUntil = now.Add(p.avoid)
}
