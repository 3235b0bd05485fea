package tlsrpt

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"postrider/internal/address"
	"postrider/internal/resolver"
	"postrider/internal/tlsrpt"
)

// lookupTime is for one record.
const lookupTime = 20 * time.Second

// lookups is what the DNS knows; resolver.Resolver.
type lookups interface {
	TXT(ctx context.Context, name string) ([]string, error)
}

// sender sends the reports of the days that are over.
type sender struct {
	dir string
	now func() time.Time
	// delay is how long after the end of a day its reports begin to go out.
	delay    time.Duration
	dns      func() (lookups, error)
	settings func() (reporter, bool, error)
	queue    func(m message) (id string, err error)
	note     func(line string)
	trouble  func(error)
}

// reporter is who reports.
type reporter struct {
	tlsrpt.Settings
	me string // control/me
}

var errLater = errors.New("some of it has to be tried again")

// sweep sends what is due. What could not be sent is tried with the next sweep,
// and given up when it is too old to be of use.
func (s *sender) sweep(ctx context.Context) {
	days, err := closedDays(s.dir, s.now())
	if err != nil {
		s.trouble(err)
		return
	}
	for _, d := range days {
		age := s.now().Sub(d.end())
		if age < s.delay || ctx.Err() != nil {
			return
		}
		err := s.send(ctx, d)
		switch {
		case err == nil:
			err = d.remove()
		case age > keepFor:
			s.trouble(fmt.Errorf("reports of %s are given up: %w", dayOf(d.begin), err))
			err = d.remove()
		case errors.Is(err, errLater):
			err = nil // each was told
		}
		if err != nil && ctx.Err() == nil {
			s.trouble(fmt.Errorf("reports of %s: %w", dayOf(d.begin), err))
		}
	}
}

// send sends the reports of a day.
func (s *sender) send(ctx context.Context, d closed) error {
	from, on, err := s.settings()
	if err != nil || !on {
		return err // nobody wants them any more
	}
	done, err := d.sent()
	if err != nil {
		return err
	}
	left := 0
	damaged, err := eachDomain(d.path, func(results []tlsrpt.Result) error {
		domain := results[0].Policy.Domain
		if done[domain] {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		to, err := s.wanted(ctx, domain)
		if err != nil {
			s.trouble(fmt.Errorf("report to %s: %w", domain, err))
			left++
			return nil
		}
		for _, a := range to {
			if err := s.mail(d, from, domain, results, a); err != nil {
				return err // that of the queue: the others would fare no better
			}
		}
		return d.markSent(domain)
	})
	if damaged > 0 {
		s.trouble(fmt.Errorf("%s: %d damaged lines are left out", d.path, damaged))
	}
	if err == nil && left > 0 {
		err = errLater
	}
	return err
}

// wanted asks the domain where its reports go. An error means that it cannot be
// said now.
func (s *sender) wanted(ctx context.Context, domain string) ([]address.Address, error) {
	dns, err := s.dns()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	texts, err := dns.TXT(ctx, "_smtp._tls."+domain)
	if resolver.IsAnswer(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	to, others := tlsrpt.ParseRecord(texts)
	if others && len(to) == 0 {
		s.note("report domain=" + domain + " not sent: its record names no mail address")
	}
	return to, nil
}

// mail hands a report to the queue. The same one handed in again is one message.
func (s *sender) mail(d closed, from reporter, domain string, results []tlsrpt.Result, to address.Address) error {
	m, err := compose(d, from, domain, results, to, s.now())
	if err != nil {
		return err
	}
	seal := sha256.Sum256([]byte("tls report\x00" + dayOf(d.begin) + "\x00" + domain + "\x00" + to.String()))
	copy(m.nonce[:], seal[:])
	id, err := s.queue(m)
	if err != nil {
		return err
	}
	s.note(fmt.Sprintf("report domain=%s day=%s to=%s qp=%s", domain, dayOf(d.begin), to, id))
	return nil
}
