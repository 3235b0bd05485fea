package qmailsend

import (
	"strings"
	"time"

	"postrider/internal/wire/manage"
)

// standingWords are standings in the words of the protocol.
var standingWords = map[standing]manage.Standing{well: manage.Well, slowed: manage.Slowed, down: manage.Down}

// Destinations describes those to which anything was given out.
func (s *scheduler) Destinations() (all []manage.Destination) {
	clock := s.clock.Now()
	now := s.line.At(clock)
	seconds := func(m moment) int64 { return s.line.ToWall(m, clock).Unix() }
	for d := range s.destinations.all {
		if d.name == "" {
			continue // nothing was given out to it yet
		}
		described := manage.Destination{
			Name: d.name, Domains: uint32(len(d.keys)), Standing: standingWords[d.standing], Waiting: uint32(d.waits),
			Jobs: short(d.jobs), Deliveries: short(d.slots), Window: short(d.width()), Limit: short(d.rule.Connections),
			Distance: uint32(min(d.distance()/time.Millisecond, 1<<32-1)), Rate: d.rule.Rate, Reason: strings.Join(strings.Fields(d.said), " "),
		}
		if d.since != 0 {
			described.Since = seconds(d.since)
		}
		if at := d.readyAt(); at != never && at > now {
			described.Next = seconds(at)
		}
		all = append(all, described)
	}
	return all
}

func short(n int) uint16 { return uint16(min(n, 1<<16-1)) }
