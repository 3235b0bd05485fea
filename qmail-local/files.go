package qmaillocal

import (
	"errors"

	"postrider/internal/fate"
	"postrider/internal/maildir"
	"postrider/internal/mbox"
)

// toMaildir delivers into a Maildir. It takes no slot: such a delivery waits
// for nothing but the disk.
func (d *delivery) toMaildir(path string) error {
	folder, done, err := d.maildirs.Open(d.homeDir, d.home, path)
	if err != nil {
		if fate.IsTemporaryErrno(err) {
			return temporary("open "+path, err, "Temporary error on maildir delivery. (#4.3.0)")
		}
		return fate.Temp("2.1", "Unable to chdir to maildir. (#4.2.1)", "open "+path, err)
	}
	defer done()
	header := d.lines.returnPath + d.lines.deliveredTo
	room, err := d.reserve(path, header)
	if err != nil {
		return err
	}
	folder.SizeInName = room != nil
	_, err = folder.Deliver([]byte(header), d.message.reader())
	switch {
	case err == nil && room != nil:
		d.taken(room)
	case room != nil:
		room.Return()
	}
	switch {
	case errors.Is(err, maildir.ErrMessage):
		return temporary("read message", err, "Unable to read message. (#4.3.0)")
	case err != nil:
		return temporary("deliver to "+path, err, "Temporary error on maildir delivery. (#4.3.0)")
	}
	// The message is delivered, whether or not others' remains can be removed.
	_ = maildir.Sweep(d.homeDir, path, d.clock.Now())
	return nil
}

// toMbox appends to an mbox.
func (d *delivery) toMbox(path string) error {
	if err := d.takeSlot(); err != nil {
		return err
	}
	file, err := mbox.Open(d.homeDir, path)
	if err != nil {
		return fate.Temp("2.1", "Unable to open "+path+": "+reason(err)+". (#4.2.1)", "open "+path, err)
	}
	header := d.lines.from + d.lines.returnPath + d.lines.deliveredTo
	err = mbox.Append(d.clock, file, []byte(header), d.message.reader())
	switch {
	case errors.Is(err, mbox.ErrLocked):
		return temporary("lock "+path, err, "File has been locked for 30 seconds straight. (#4.3.0)")
	case errors.Is(err, mbox.ErrLock):
		return temporary("lock "+path, err, "Unable to lock %s: %s. (#4.3.0)", path, reason(err))
	case errors.Is(err, mbox.ErrMessage):
		return unreadable(err)
	case err != nil:
		return temporary("write "+path, err, "Unable to write %s: %s. (#4.3.0)", path, reason(err))
	}
	return nil
}
