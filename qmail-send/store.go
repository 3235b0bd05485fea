package qmailsend

import (
	"time"

	"postrider/internal/queuedir"
	"postrider/internal/route"
	"postrider/qmail-send/bounce"
	"postrider/qmail-send/progress"
	"postrider/qmail-send/reading"
)

// store is what the scheduler decides about: messages, their progress, and who
// takes notices. Its methods wait, and are called by workers only. Everything
// else of the scheduler is decisions: with another store and another clock it
// can be simulated.
type store interface {
	// load reads an entry and what was done for it so far.
	load(id queuedir.ID, hasInfo, check bool, routes *route.Table) (*reading.Message, error)
	progress(id queuedir.ID, recipients int) (queuedir.Progress, error)
	Write(r progress.Record) (noDue bool, err error)
	Touch(id queuedir.ID, due time.Time) error
	Unlink(id queuedir.ID) error
	UnlinkAll(id queuedir.ID) error
	Keep(id queuedir.ID) error
	// Change carries out what operators want of messages that are in no hand.
	Change(batch []progress.Edit, due time.Time) []*progress.Edited
	// submit has those reports submitted that tell anything.
	submit(entry *queuedir.Entry, reports []bounce.Report) ([]bounce.Submitted, error)
}

// disk is the store of a running qmail-send.
type disk struct {
	layout queuedir.Layout
	progress.Recorder
	notices *bounce.Submitter
}

func (d disk) load(id queuedir.ID, hasInfo, check bool, routes *route.Table) (*reading.Message, error) {
	return reading.Load(d.layout, id, hasInfo, check, routes)
}

func (d disk) progress(id queuedir.ID, recipients int) (queuedir.Progress, error) {
	return progress.Read(d.layout, id, recipients)
}

func (d disk) submit(entry *queuedir.Entry, reports []bounce.Report) ([]bounce.Submitted, error) {
	return d.notices.SubmitAll(d.layout, entry, reports)
}
