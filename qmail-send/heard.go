package qmailsend

import (
	"os"

	"postrider/internal/wire/entries"
	"postrider/internal/wire/spawn"
	"postrider/qmail-send/links"
)

// serving reports whether a channel can deliver: it is not held, and somebody
// is there.
func (s *scheduler) serving(w *way) bool {
	return w.limit > 0 && s.agents.Any(w.id)
}

// attachAgent begins to use the link f to qmail-lspawn or a remote worker.
func (s *scheduler) attachAgent(name string, f *os.File, c channelID, number int) error {
	slots := 0
	if c == local {
		slots = s.settings.concurrency[local]
	}
	ag, err := links.NewAgent(name, f, slots)
	if err != nil {
		return err
	}
	s.post(func() {
		if old := s.agents.Current(c, number); old != nil {
			s.agentLost(old)
		}
		s.agents.Attach(ag, c, number)
		ag.Run(heard{s})
	})
	return nil
}

// heard posts what the links of a scheduler tell (links.AgentListener and
// links.SpoolListener).
type heard struct{ s *scheduler }

func (h heard) AgentEnds(ag *links.Agent) { h.s.post(func() { h.s.agentLost(ag) }) }

func (h heard) JobFails(ag *links.Agent, j spawn.Job, err error, damaged bool) {
	h.s.post(func() { h.s.jobFailed(ag, j, err, damaged) })
}

func (h heard) AgentReports(ag *links.Agent, results []spawn.Result) {
	h.s.post(func() { h.s.results(ag, results) })
}

func (h heard) SpoolEnds(l *links.Spool) { h.s.post(func() { h.s.spoolLost(l) }) }

func (h heard) SpoolSays(l *links.Spool, batch []entries.Message) {
	h.s.post(func() { h.s.answers(l, batch) })
}
