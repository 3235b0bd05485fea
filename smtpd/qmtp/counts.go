package qmtp

import (
	"postrider/internal/figures"
	"postrider/internal/wire/parent"
)

// takeFigures begins to count.
func (d *daemon) takeFigures(f parent.Frame) {
	if err := d.counts.Take(f.Name, f.File); err != nil {
		d.log.Line(d.prefix() + "warning: nothing is counted: " + err.Error())
	}
}

// countRefusal counts a client, a message or a recipient that is refused.
func (s *service) countRefusal(rule string) {
	s.counts.Add(figures.QMTPRefusals, figures.QMTPRefusalSeries(s.protocol.program, rule), 1)
}

// countSession counts a session that begins.
func (s *service) countSession(limit int) {
	series := figures.QMTPSeries(s.protocol.program)
	s.counts.Add(figures.QMTPSessionsBegun, series, 1)
	s.counts.Add(figures.QMTPSessions, series, 1)
	s.counts.Set(figures.QMTPSessionsLimit, series, int64(limit))
}

func (s *service) countEnd() {
	s.counts.Add(figures.QMTPSessions, figures.QMTPSeries(s.protocol.program), -1)
}
