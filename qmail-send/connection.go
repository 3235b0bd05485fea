package qmailsend

import (
	"time"

	"postrider/internal/logline"
	"postrider/internal/wire/spawn"
	"postrider/qmail-send/fair"
)

// connection is a job that is under way to a destination.
type connection struct {
	to      *destination
	key     uint32 // of the domain
	domain  string
	began   moment
	left    int // deliveries
	heard   bool
	trouble spawn.Trouble
	said    string
}

// noteDead notes that d was deferred: if that is so of all of p because nobody
// could be reached, the message is tried when its destination is back.
func (p *pass) noteDead(d *delivery, first bool) {
	unreachable := d.via != nil && d.via.trouble == spawn.Unreachable
	switch {
	case unreachable && first:
		p.dead = d.via.to
	case !unreachable:
		p.dead = nil
	}
}

// isBack has messages tried that have asked in vain.
func (s *scheduler) isBack(d *destination) {
	for _, m := range d.asked {
		if m.is(hasAsked) && !m.is(forgotten) && m.place[remote] >= 0 {
			m.flags = m.flags&^hasAsked | parked
			d.wait(m, retries)
		}
	}
	d.asked = nil
}

// connect counts a job of p for sp, of n deliveries. nil: its destination is not
// known.
func (s *scheduler) connect(p *pass, sp *spec, n int, now moment) *connection {
	s.unclaim(p)
	d := s.destinationOf(sp, now)
	if d == nil {
		return nil
	}
	d.begin(now, n)
	s.destinations.schedule(d, now)
	return &connection{to: d, key: s.keyOf(&sp.Group), domain: sp.Domain(), began: now, left: n}
}

// heardOf takes what a delivery tells of its destination.
func (s *scheduler) heardOf(c *connection, r spawn.Result, now moment) {
	d := c.to.resolved()
	if r.Hosts != "" && r.Hosts != d.hosts {
		d = s.learn(c, d, r.Hosts, now)
		s.destinations.schedule(d, now)
	}
	if r.Hosts == "" && r.Trouble == spawn.Unreachable {
		d = s.part(c, d, now)
	}
	if r.Trouble != spawn.None {
		c.trouble, c.said = r.Trouble, r.Text
	}
	if r.Hosts != "" || r.Class != spawn.Deferral {
		c.heard = true
	}
	d.slots--
	if c.left--; c.left > 0 {
		return
	}
	before := d.standing
	s.judge(d, c, now)
	if before == down && d.standing != down {
		s.isBack(d)
	}
	if d.jobs--; d.jobs == 0 && d.waits == 0 {
		d.waiting = [classes]*fair.Queue[*message]{} // it costs nothing at rest
	}
	d.probing = false
	s.tellStanding(d, before, now)
	s.destinations.schedule(d, now)
	s.destinations.wake(d)
	s.resumeStalled(d, now)
}

// learn notes whose hosts take mail of the domain of c.
func (s *scheduler) learn(c *connection, d *destination, hosts string, now moment) *destination {
	e, joined := s.destinations.learn(d, c.key, c.domain, logline.Safe(hosts), now)
	if joined {
		for d.stalled.Len() > 0 {
			p := d.stalled.First()
			s.unstall(p)
			s.ready(p)
		}
		if e.standing != down {
			s.isBack(e)
		}
		s.destinations.schedule(e, now)
		return e
	}
	if e != d {
		s.handOver(c, d, e, now)
	}
	return e
}

// part makes the domain of c a destination of its own, as it could not be looked
// up: that says nothing of the hosts that it shares with others.
func (s *scheduler) part(c *connection, d *destination, now moment) *destination {
	e := s.destinations.byDomain[c.key]
	if e == nil || len(e.keys) > 1 {
		s.destinations.leave(c.key)
		e = s.destinations.ofSpec(c.key, c.domain, c.domain, now)
	}
	if e == nil || e == d {
		return d
	}
	s.handOver(c, d, e, now)
	return e
}

// handOver makes the job of c, which d has, one of e.
func (s *scheduler) handOver(c *connection, d, e *destination, now moment) {
	c.to = e
	d.jobs--
	d.slots -= c.left
	s.destinations.schedule(d, now)
	e.jobs++
	e.slots += c.left
	e.last = max(e.last, c.began)
	s.destinations.schedule(e, now)
	s.destinations.wake(d)
	s.resumeStalled(d, now)
}

// judge lets a destination react to a job that has ended.
func (s *scheduler) judge(d *destination, c *connection, now moment) {
	said := c.said[:min(len(c.said), maxSaid)]
	switch {
	case c.trouble == spawn.None && !c.heard:
		d.silent(now)
	case c.trouble == spawn.Throttled:
		d.throttled(now, c.began, said)
	case c.trouble == spawn.Unreachable:
		d.unreachable(now, c.began, said)
	case c.trouble == spawn.Broken:
		d.broken(now, c.began, said)
	default:
		d.answered(now, time.Duration(now-c.began))
	}
}

// tellStanding logs that a destination stands otherwise than before.
func (s *scheduler) tellStanding(d *destination, before standing, now moment) {
	if d.standing == before || !s.standings.mayLog(now) {
		return
	}
	said := ""
	if d.said != "" {
		said = ": " + logline.Safe(d.said)
	}
	switch d.standing {
	case down:
		s.logf("destination %s: down, %d messages wait%s", d.name, d.waits, said)
	case slowed:
		s.logf("destination %s: slowed, %d messages wait%s", d.name, d.waits, said)
	default:
		s.logf("destination %s: well again, %d messages wait", d.name, d.waits)
	}
	if n := s.standings.unsaid; n > 0 {
		s.standings.unsaid = 0
		s.logf("destinations: %d other changes were not logged", n)
	}
}

// standingLog bounds the lines about destinations.
type standingLog struct {
	room   int
	at     moment
	unsaid int
}

const (
	maxStandings  = 60 // lines at a time,
	standingEvery = time.Second
)

func (l *standingLog) mayLog(now moment) bool {
	if more := (now - l.at) / moment(standingEvery); more > 0 {
		l.room = int(min(moment(l.room)+more, maxStandings))
		l.at = now
	}
	if l.room == 0 {
		l.unsaid++
		return false
	}
	l.room--
	return true
}
