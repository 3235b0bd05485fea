package spool

import (
	"time"

	"postrider/internal/durable"
	"postrider/internal/figures"
	"postrider/internal/wire/entries"
)

// counted returns done with the message counted, once it is durable.
func (d *draft) counted(done func(entries.Message, error)) func(entries.Message, error) {
	begun := time.Now()
	return func(m entries.Message, err error) {
		defer done(m, err)
		if err != nil {
			return
		}
		via := d.from.via
		if via == figures.ViaSMTP && d.env.facts.User != "" {
			via = figures.ViaSubmission
		}
		counts := &d.s.counts
		counts.Add(figures.Accepted, via, 1)
		counts.Add(figures.AcceptedBytes, via, int(m.Size))
		counts.Observe(figures.CommitSeconds, 0, time.Since(begun).Microseconds())
	}
}

// The places of what is synced.
const (
	syncedFile = iota
	syncedDirectory
)

// countRound counts a round of syncs.
func (s *Store) countRound(r durable.Round) {
	s.counts.Add(figures.QueueSyncs, syncedFile, r.Files)
	s.counts.Add(figures.QueueSyncs, syncedDirectory, r.Directories)
	s.counts.Observe(figures.SyncGroupSize, 0, int64(r.Members))
	s.counts.Observe(figures.SyncSeconds, 0, r.Took.Microseconds())
}
