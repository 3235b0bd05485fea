package qmailsend

import (
	"time"

	"postrider/internal/destinations"
	"postrider/qmail-send/fair"
)

// destination is what is known of the hosts that take the mail of some domains,
// and how much may go to them now. It learns from what deliveries tell: it
// takes more connections while they succeed, fewer when they break, messages at
// a distance when a host says that they are too many, and one message now and
// then, a probe, while nobody can be reached.
type destination struct {
	name   string              // for people: hosts, a pattern or a domain; "" not known yet
	domain string              // one of its domains
	keys   map[uint32]struct{} // the domains that are known to be its own
	rule   destinations.Rule
	hosts  string // as qmail-remote tells them; "" not known yet
	// identity is shared by the domains that belong together; 0: not known yet.
	identity uint64
	// successor has taken over; this one is empty.
	successor *destination

	jobs    int // connections: jobs under way
	slots   int // deliveries of these
	claims  int // messages that were read for it and have given out nothing yet
	window  int // how many jobs there may be
	credit  int // successes towards a wider window
	narrow  int // up to here the window grows by one with each success
	gap     time.Duration
	last    moment // when a job began
	probing bool

	standing standing
	since    moment // of standing
	said     string // by the delivery that led to it
	pause    time.Duration
	until    moment // the end of the pause, or the next probe
	reacted  moment // what jobs tell that began before is known already
	failures int    // in a row, without an answer
	taken    int    // messages since the last reaction

	waits   int // messages that wait for it
	turn    int
	waiting [classes]*fair.Queue[*message]
	stalled fair.FIFO[*pass] // that wait for a job to end
	asked   []*message       // in vain, while it is down: they wait for their own times
	used    moment
	isReady bool // in destinationTable.ready
	place   int  // in destinationTable.timers, or nowhere
}

// standing is how a destination stands, for people.
type standing int

const (
	well standing = iota
	slowed
	down
)

const (
	// slowAnswer is how long a message may take if more connections are to
	// follow, and slowWindow what is left to those that take longer.
	slowAnswer = time.Minute
	slowWindow = 4
	// firstPause, the shortest after a refusal, doubles while refusals follow one
	// another, enough messages between them being taken.
	firstPause = 30 * time.Second
	maxPause   = 15 * time.Minute
	someTaken  = 10
	// firstGap is the distance of messages after a refusal: it doubles with the
	// next, and goes back by gapDecay with each message that is taken.
	firstGap = time.Second
	maxGap   = 5 * time.Minute
	minGap   = 10 * time.Millisecond
	gapDecay = 32
	// calmAfter is how long after the last refusal nothing is held back any more.
	calmAfter = time.Hour
	// firstProbe is how long a destination is left alone that is down.
	firstProbe = time.Minute
	maxProbe   = 10 * time.Minute
	// maxBroken is after how many broken sessions in a row it counts as down.
	maxBroken = 3
	// maxAsked is how many of those that have asked need not wait any longer
	// when it is back.
	maxAsked  = 1000
	maxWindow = maxConcurrency
)

func newDestination() *destination {
	return &destination{keys: make(map[uint32]struct{}), window: 1, narrow: maxWindow, place: nowhere}
}

// resolved returns who stands for d now.
func (d *destination) resolved() *destination {
	for d != nil && d.successor != nil {
		d = d.successor
	}
	return d
}

// width is how many jobs there may be at a time.
func (d *destination) width() int {
	if most := d.rule.Connections; most > 0 {
		return min(d.window, most)
	}
	return d.window
}

// verdict says whether a job may begin.
type verdict int

const (
	goes  verdict = iota
	soon          // when another one has ended
	later         // in a while
)

// may says whether a job may begin now, of which there are at most share
// deliveries at a time.
func (d *destination) may(now moment, share int) verdict {
	switch {
	case d.standing == down && d.jobs > 0, now < d.until, now < d.nextAt():
		return later
	case d.jobs >= d.width(), d.slots >= share:
		return soon
	}
	return goes
}

// mayClaim reports whether another message may be read for it: never more than
// can go, since what was read keeps others out.
func (d *destination) mayClaim(now moment, share int) bool {
	if d.may(now, share) != goes || d.jobs+d.claims >= d.width() {
		return false
	}
	return d.claims == 0 || d.standing != down && d.distance() == 0
}

// distance is that of messages.
func (d *destination) distance() time.Duration { return max(d.rule.Every, d.gap) }

// readyAt returns when a job may begin again if nothing happens before; never:
// when something does.
func (d *destination) readyAt() moment {
	if d.standing == down && d.jobs > 0 {
		return never
	}
	return max(d.until, d.nextAt())
}

// nextAt returns when the distance of messages allows another one.
func (d *destination) nextAt() moment { return d.last.Add(d.distance()) }

// begin counts a job of n deliveries.
func (d *destination) begin(now moment, n int) {
	d.jobs++
	d.slots += n
	d.last = now
	d.probing = d.standing == down
}

// answered takes a job that a host has answered, whatever it said of the mail. The
// job still counts.
func (d *destination) answered(now moment, took time.Duration) {
	d.failures = 0
	d.taken++
	if d.standing == down {
		d.pause, d.until = 0, 0
		d.stand(slowed, now)
	}
	if d.gap -= d.gap / gapDecay; d.gap < minGap || now > d.reacted.Add(calmAfter) {
		d.gap = 0
	}
	if d.standing == slowed && d.gap == 0 {
		d.pause, d.said = 0, ""
		d.stand(well, now)
	}
	switch {
	case took <= slowAnswer && 2*d.jobs < d.window: // what is not used says nothing
	case took <= slowAnswer:
		d.grow()
	case d.window > slowWindow:
		d.window--
	}
}

func (d *destination) grow() {
	if d.credit++; d.window < d.narrow || d.credit >= d.window {
		d.credit = 0
		d.window = min(d.window+1, maxWindow)
	}
}

// shrink halves the window.
func (d *destination) shrink() {
	d.narrow = max(1, d.window/2)
	d.window, d.credit = d.narrow, 0
}

// throttled takes a job, begun at began, of which a host said that mail comes too
// fast, or that there is too much.
func (d *destination) throttled(now, began moment, said string) {
	if began < d.reacted {
		return
	}
	gap := max(firstGap, 2*d.gap)
	if d.standing == slowed && d.taken > 0 {
		// What it has taken since the last refusal it seems to take.
		gap = max(gap, time.Duration(now-d.reacted)/time.Duration(d.taken))
	}
	d.gap = min(gap, maxGap)
	d.pause = min(max(2*d.pause, firstPause), maxPause)
	if d.standing != slowed || d.taken >= someTaken {
		d.pause = firstPause
	}
	d.shrink()
	d.window = 1
	d.taken, d.failures = 0, 0
	d.reacted, d.until, d.said = now, now.Add(d.pause), said
	d.stand(slowed, now)
}

// unreachable takes a job for which nobody could be reached.
func (d *destination) unreachable(now, began moment, said string) {
	if began < d.reacted {
		return
	}
	d.window, d.credit, d.narrow = 1, 0, maxWindow
	if d.standing != down {
		d.pause = 0
	}
	d.pause = min(max(2*d.pause, firstProbe), maxProbe)
	d.taken = 0
	d.reacted, d.until, d.said = now, now.Add(d.pause), said
	d.stand(down, now)
}

// broken takes a job that came to no answer about the mail.
func (d *destination) broken(now, began moment, said string) {
	if began < d.reacted {
		return
	}
	if d.failures++; d.failures >= maxBroken || d.standing == down {
		d.unreachable(now, began, said)
		return
	}
	d.shrink()
	d.reacted = now
}

// silent takes a job of which nothing is known: another probe may follow soon.
func (d *destination) silent(now moment) {
	if d.standing == down {
		d.until = max(d.until, now.Add(firstProbe))
	}
}

// askNow has it asked again at once.
func (d *destination) askNow() {
	d.until, d.pause = 0, 0
}

func (d *destination) stand(as standing, now moment) {
	if d.standing != as {
		d.standing, d.since = as, now
	}
}

// atRest reports whether nothing is under way or waits.
func (d *destination) atRest() bool {
	return !d.underWay() && d.waits == 0 && d.stalled.Len() == 0
}

func (d *destination) underWay() bool { return d.jobs > 0 || d.claims > 0 }
