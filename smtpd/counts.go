package smtpd

import (
	"postrider/internal/figures"
	"postrider/internal/wire/parent"
)

// takeFigures begins to count.
func (d *daemon) takeFigures(f parent.Frame) {
	if err := d.counts.Take(f.Name, f.File); err != nil {
		d.log.Line(logPrefix + "warning: nothing is counted: " + err.Error())
	}
}

// countRefusal counts what the log has a line about.
func (s *service) countRefusal(r reply) {
	s.counts.Add(figures.SMTPRefusals, figures.RuleSeries(r.rule), 1)
}

// countSession counts a session that begins.
func (s *service) countSession(limit int) {
	s.counts.Add(figures.SMTPSessionsBegun, 0, 1)
	s.counts.Add(figures.SMTPSessions, 0, 1)
	s.counts.Set(figures.SMTPSessionsLimit, 0, int64(limit))
}
