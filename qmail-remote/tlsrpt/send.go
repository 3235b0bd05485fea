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
	post     func(url string, report []byte) error
	posts    postTimes
	note     func(line string)
	trouble  func(error)
}

// reporter is who reports.
type reporter struct {
	tlsrpt.Settings
	me string // control/me
	// signed says that mail from the contact is signed. Receivers ignore reports
	// by mail that are not (RFC 8460 section 3).
	signed bool
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
	crew := newCrew()
	damaged, err := eachDomain(d.path, func(results []tlsrpt.Result) error {
		domain := results[0].Policy.Domain
		if done[domain] {
			return nil
		}
		return crew.do(ctx, func() error { return s.report(ctx, d, from, domain, results, done) })
	})
	if failed := crew.wait(); err == nil {
		err = failed
	}
	if damaged > 0 {
		s.trouble(fmt.Errorf("%s: %d damaged lines are left out", d.path, damaged))
	}
	return err
}

// report sends the report about one domain wherever it has not gone yet. Any error
// but errLater is that of the queue, or of this machine: the others would fare no
// better.
func (s *sender) report(ctx context.Context, d closed, from reporter, domain string, results []tlsrpt.Result, done map[string]bool) error {
	to, err := s.wanted(ctx, domain)
	if err != nil {
		s.trouble(fmt.Errorf("report to %s: %w", domain, err))
		return errLater
	}
	if len(to.Mail)+len(to.Web) == 0 {
		return d.markSent(domain)
	}
	r, err := newDayReport(d, from, domain, results)
	if err != nil {
		return err
	}
	if len(to.Mail) > 0 && !from.signed {
		s.trouble(fmt.Errorf("reports by mail are not signed here, and unsigned ones count nowhere: control/dkimsign has no line for %s", from.Contact.Domain()))
	}
	for _, a := range to.Mail {
		if mark := domain + " " + a.String(); !done[mark] {
			if err = s.mail(r, a); err == nil {
				err = d.markSent(mark)
			}
			if err != nil {
				return err
			}
		}
	}
	later := false
	for _, url := range to.Web {
		if mark := domain + " " + url; !done[mark] {
			switch err := s.postOnce(r, url); {
			case err == errLater:
				later = true
			case err != nil:
				return err
			default:
				if err := d.markSent(mark); err != nil {
					return err
				}
			}
		}
	}
	if later {
		return errLater
	}
	return d.markSent(domain)
}

// wanted asks the domain where its reports go. An error means that it cannot be
// said now.
func (s *sender) wanted(ctx context.Context, domain string) (to tlsrpt.Destinations, err error) {
	dns, err := s.dns()
	if err != nil {
		return to, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	texts, err := dns.TXT(ctx, "_smtp._tls."+domain)
	if resolver.IsAnswer(err) {
		return to, nil
	}
	if err != nil {
		return to, err
	}
	to = tlsrpt.ParseRecord(texts)
	if to.Others && len(to.Mail)+len(to.Web) == 0 {
		s.note("report domain=" + domain + " not sent: its record names no place for it")
	}
	return to, nil
}

// mail hands a report to the queue. The same one handed in again is one message.
func (s *sender) mail(r dayReport, to address.Address) error {
	m := r.compose(to, s.now())
	seal := sha256.Sum256([]byte("tls report\x00" + dayOf(r.day.begin) + "\x00" + r.domain + "\x00" + to.String()))
	copy(m.nonce[:], seal[:])
	id, err := s.queue(m)
	if err != nil {
		return err
	}
	s.note(fmt.Sprintf("report domain=%s day=%s to=%s qp=%s", r.domain, dayOf(r.day.begin), to, id))
	return nil
}
