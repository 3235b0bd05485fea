package qmailsend

import (
	"errors"
	"time"

	"postrider/internal/queuedir"
	"postrider/qmail-send/bounce"
)

// The sender hears of a delay when an attempt fails at an age of control/delaywarn
// or later, once for each of these ages. What the agents said at that attempt
// is written to the progress file first; the notice is made of that.

// toTell returns the age of which the sender is to be told if a pass on c that
// starts now defers somebody; 0 for none. Nobody waits for mail of a list or in
// bulk.
func (s *scheduler) toTell(a *active, c channelID, now moment) (age time.Duration) {
	sender := a.sender.String()
	if a.bulk || sender == "" || sender == bounce.DoubleSender || bounce.IsVERP(sender) {
		return 0
	}
	for _, at := range s.settings.delayWarn {
		if at < s.settings.lifetimes.of(a) && now >= a.m.birth.Add(at) && at > a.told[c] {
			age = max(age, at)
		}
	}
	return age
}

// startTelling notes that a pass on c is to tell of a delay.
func (a *active) startTelling(c channelID, age time.Duration) {
	if age == 0 {
		return
	}
	a.telling[c] = age
	if a.delays == 0 {
		a.delaysFrom = a.size
	}
}

// noteDelayed notes what is to be told of a recipient.
func (a *active) noteDelayed(index int, at time.Time, text string) {
	a.progress.Deferred(index, at, text)
	a.delays++
}

// tell has a notice of the delay submitted.
func (s *scheduler) tell(a *active) {
	now := s.clock.Now()
	next := s.nextTry(a.m, s.now())
	if next == never {
		next = s.now()
	}
	last := a.lastTry
	a.lastTry = 0
	r := s.report(a, bounce.Notice{
		Settings: s.settings.bounce, Kind: bounce.Delay, Sender: bounce.ReturnTo(a.sender.String()), Short: true,
		Attempts: int(a.m.attempts), Next: s.line.ToWall(next, now),
		Until: s.line.ToWall(last, now),
	})
	r.Tells, r.From = []queuedir.RecordKind{queuedir.Deferred}, a.delaysFrom
	r.Finished = append(queuedir.Bitmap(nil), a.finished...)
	r.Ages = a.telling
	s.submit(a, []bounce.Report{r}, s.told)
}

// told takes the result of tell. A notice that could not be submitted comes
// with the next attempt.
func (s *scheduler) told(a *active, done []bounce.Submitted, err error) {
	ages, id := a.telling, queuedir.Discarded
	a.delays, a.telling = 0, [channels]time.Duration{}
	switch {
	case errors.Is(err, queuedir.ErrDamaged), errors.Is(err, queuedir.ErrTorn):
		a.damaged = err
		return
	case err != nil:
		s.trouble(err, "warning: trouble injecting delay notice for %s, will try with its next attempt", a.m.id)
		return
	case len(done) == 0: // whom it was about has finished meanwhile
	default:
		id = done[0].ID
	}
	for c, age := range ages {
		if age > 0 {
			a.told[c] = age
			a.progress.Told(channelLetters[c], age, id)
		}
	}
}

// channelLetters stand for the channels in progress files.
var channelLetters = [channels]byte{local: 'l', remote: 'r'}

// toldIn returns of what the sender was told by a progress file.
func toldIn(p queuedir.Progress) (told [channels]time.Duration) {
	for c, letter := range channelLetters {
		told[c] = p.Told[letter]
	}
	return told
}
