package spool

import (
	"fmt"

	"postrider/internal/durable"
	"postrider/internal/queuedir"
	"postrider/internal/wire/entries"
)

// ownSync is the size of a body above which its writer makes it durable
// alone, so that the group does not wait for its pages.
const ownSync = 256 << 10

// commit makes the draft an entry. When it returns nil the message is durable
// and answered "no" to no query any more; after an error nothing is left.
// The steps and what a crash leaves after each:
//
//	write tmp/ID [tmp/ID.body]    swept at the next start
//	rename ID.body to new/NN      swept: a body without entry
//	rename ID to new/NN           whole: delivered though not acknowledged;
//	                              torn: set aside into bad/unacked
//	sync                          accepted
func (d *draft) commit(nonce queuedir.Nonce) (entries.Message, error) {
	env, err := d.finish(nonce)
	if err == nil && d.outside() && d.bodySize > ownSync {
		if syncErr := d.bodyFile.Datasync(); syncErr != nil {
			err = writeTrouble(syncErr)
		}
	}
	if err != nil {
		d.abort()
		return entries.Message{}, err
	}
	d.free()
	if err := d.publish(); err != nil {
		return entries.Message{}, err
	}
	m := entries.Message{Kind: entries.Announced, ID: d.id, UID: d.from.uid, Size: d.bodySize}
	if len(env) <= entries.MaxInlineEnvelope {
		m.Envelope = env
	}
	return m, nil
}

// publish renames into new/, waits for the sync and closes.
func (d *draft) publish() error {
	s := d.s
	if d.outside() {
		if err := s.tree.Rename(d.bodyName, layout.Body(d.id)); err != nil {
			d.abort()
			return &refusal{code: exitWrite, err: err}
		}
		d.bodyName = layout.Body(d.id)
	}
	if err := s.tree.Rename(d.entryName(), layout.Entry(d.id)); err != nil {
		d.abort()
		return &refusal{code: exitWrite, err: err}
	}
	what := []durable.Syncer{d.entry}
	if d.outside() {
		what = append(what, d.bodyFile)
	}
	err := s.group.Wait(d.ticket, append(what, s.newDir(d.id))...)
	if closeErr := d.close(); err == nil {
		err = closeErr
	}
	if err != nil {
		d.withdraw()
		return &refusal{code: exitWrite, err: fmt.Errorf("commit %s: %w", d.id, err)}
	}
	return nil
}

func (d *draft) close() error {
	err := d.entry.Close()
	if d.bodyFile != nil && d.bodyFile != d.entry {
		if bodyErr := d.bodyFile.Close(); err == nil {
			err = bodyErr
		}
	}
	return err
}

// withdraw removes an entry whose sync failed: nobody knows what of it is on
// disk. The directory's own sync is the last word; if it fails too, a crash
// may leave a message that was refused.
func (d *draft) withdraw() {
	names := []string{layout.Entry(d.id)}
	if d.outside() {
		names = append(names, layout.Body(d.id))
	}
	d.s.doom(d.id, names...)
	if err := d.s.newDir(d.id).Sync(); err != nil {
		d.s.log("warning: cannot sync after a failed commit: " + err.Error())
	}
}
