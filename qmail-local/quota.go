package qmaillocal

import (
	"errors"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/control"
	"postrider/internal/fate"
	"postrider/internal/maildate"
	"postrider/internal/maildirsize"
)

const (
	// warnPercent is how full a mailbox is when its user is told.
	warnPercent = 90
	// warnEvery is how often he is told; the file warnMark has the time.
	warnEvery = 24 * time.Hour
	warnMark  = "quotawarn"
	// maxWarning is the largest warning that is delivered.
	maxWarning = 64 << 10
)

// reserve takes room in the Maildir for the message with some lines before it.
// There is no Room where the Maildir has no quota.
func (d *delivery) reserve(path string, header string) (*maildirsize.Room, error) {
	room, err := d.quotas.Reserve(d.homeDir, path, int64(len(header))+d.message.length(), d.limitOf(path))
	switch {
	case errors.Is(err, maildirsize.ErrFull):
		return nil, d.overQuota(path)
	case err != nil:
		return nil, temporary("quota of "+path, err, "Unable to read the quota of the mailbox. (#4.3.0)")
	}
	return room, nil
}

// overQuota is the failure of a message for which there is no room.
func (d *delivery) overQuota(path string) error {
	dir := d.control()
	what, err := dir.Line("overquota", "bounce")
	switch {
	case err != nil:
		return temporary("read control/overquota", err, "Unable to read control files. (#4.3.0)")
	case what == "bounce":
		return fate.Perm("2.2", "Sorry, the mailbox is full. (#5.2.2)", "quota of "+path, nil)
	case what == "defer":
		return fate.Temp("2.2", "Sorry, the mailbox is full. (#4.2.2)", "quota of "+path, nil)
	}
	return temporary("read control/overquota", nil, "control/overquota is neither bounce nor defer. (#4.3.5)")
}

func (d *delivery) control() control.Dir { return d.controls }

// taken writes down that the message is in the mailbox, and warns the user if
// that is nearly full. The message is delivered, whatever becomes of that.
func (d *delivery) taken(room *maildirsize.Room) {
	if room.Percent >= warnPercent {
		_ = d.warn(room)
	}
	room.Taken()
}

// warn delivers the administrator's warning into the mailbox itself.
func (d *delivery) warn(room *maildirsize.Room) error {
	dir := d.control()
	text, present, err := dir.Text("quotawarnmsg")
	if err != nil || !present || len(text) > maxWarning {
		return err
	}
	now := d.clock.Now()
	if due, err := markWarning(room.Box, now); err != nil || !due {
		return err
	}
	folder, done, err := d.maildirs.Open(d.homeDir, d.home, room.Name)
	if err != nil {
		return err
	}
	defer done()
	folder.SizeInName = true
	header := "Return-Path: <>\n" + d.lines.deliveredTo +
		"Date: " + maildate.Header(now) + "\nAuto-Submitted: auto-generated\n"
	if _, err = folder.Deliver([]byte(header), strings.NewReader(text)); err != nil {
		return err
	}
	return room.Add(int64(len(header) + len(text)))
}

// markWarning reports whether a warning is due, and sets its time.
func markWarning(box int, now time.Time) (due bool, err error) {
	var st unix.Stat_t
	err = unix.Fstatat(box, warnMark, &st, unix.AT_SYMLINK_NOFOLLOW)
	if err == nil && now.Sub(time.Unix(st.Mtim.Unix())) < warnEvery {
		return false, nil
	}
	if err != nil && err != unix.ENOENT {
		return false, os.NewSyscallError("stat", err)
	}
	fd, err := retryFD(func() (int, error) {
		return unix.Openat(box, warnMark, unix.O_WRONLY|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0o600)
	})
	if err != nil {
		return false, os.NewSyscallError("open", err)
	}
	defer unix.Close(fd)
	at, err := unix.TimeToTimespec(now)
	if err != nil {
		return false, err
	}
	err = unix.UtimesNanoAt(box, warnMark, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW)
	return err == nil, os.NewSyscallError("utimensat", err)
}
