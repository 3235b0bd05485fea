package commands

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/maildate"
	"postrider/internal/maildir"
	"postrider/internal/mbox"
	"postrider/internal/world"
)

// maxCollected is how many messages one run moves; the next takes the others.
const maxCollected = 100000

// MaildirToMbox is maildir2mbox: it moves the messages of the Maildir that the
// variable MAILDIR names to the end of the mbox that MAIL names.
//
// qmail's copies the mbox to MAILTMP and renames that: a delivery that waits for
// the lock then writes into a file that is gone. This one appends, as
// deliveries do, and needs no MAILTMP.
func MaildirToMbox(w world.World) int {
	dir, _ := w.Getenv("MAILDIR")
	mail, _ := w.Getenv("MAIL")
	if dir == "" || mail == "" {
		return fail(w, "maildir2mbox", exitLater, "MAILDIR or MAIL is not set")
	}
	unix.Umask(0o077)
	if err := collect(w, dir, mail); err != nil {
		return fail(w, "maildir2mbox", exitLater, err.Error())
	}
	return exitDone
}

// stored is a message in a Maildir.
type stored struct {
	path    string
	changed time.Time
}

// collect moves what is there. A message leaves the Maildir only when it is on
// disk in the mbox.
func collect(w world.World, dir, mail string) error {
	now := w.Clock.Now()
	all, err := messagesIn(dir, now, "new", "cur")
	if err != nil {
		return err
	}
	// The readers of a Maildir sweep it, too; what is left costs only space.
	_ = maildir.Sweep(unix.AT_FDCWD, dir, now)
	for _, m := range all {
		if err := move(w, m, mail); err != nil {
			return err
		}
	}
	return nil
}

// messagesIn returns the messages of a Maildir, the oldest first. What was
// delivered in this second may be followed by others with the same time: it
// comes the next time.
func messagesIn(dir string, now time.Time, subs ...string) ([]stored, error) {
	var all []stored
	for _, sub := range subs {
		entries, err := os.ReadDir(filepath.Join(dir, sub))
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".") || !e.Type().IsRegular() {
				continue
			}
			info, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			if info.ModTime().Unix() < now.Unix() {
				all = append(all, stored{filepath.Join(dir, sub, e.Name()), info.ModTime()})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b stored) int {
		return cmp.Or(a.changed.Compare(b.changed), cmp.Compare(filepath.Base(a.path), filepath.Base(b.path)))
	})
	return all[:min(len(all), maxCollected)], nil
}

// move appends a message to the mbox and removes it.
func move(w world.World, m stored, mail string) error {
	f, err := os.OpenFile(m.path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 64<<10)
	sender, err := senderOf(in)
	if err != nil {
		return err
	}
	box, err := mbox.Open(unix.AT_FDCWD, mail)
	if err != nil {
		return err
	}
	header := "From " + sender + " " + maildate.FromLine(m.changed) + "\n"
	if err := mbox.Append(w.Clock, box, []byte(header), in); err != nil {
		return err
	}
	return os.Remove(m.path)
}

// maxReturnPath is the longest Return-Path line that is looked at.
const maxReturnPath = 2000

// senderOf is what the From_ line says of a message, by its Return-Path line.
func senderOf(in *bufio.Reader) (string, error) {
	first, err := in.Peek(maxReturnPath)
	if err != nil && err != io.EOF {
		return "", err
	}
	line, _, _ := strings.Cut(string(first), "\n")
	path, is := strings.CutPrefix(line, "Return-Path: <")
	path = strings.TrimSuffix(path, ">")
	if !is || path == "" {
		return "MAILER-DAEMON", nil
	}
	return strings.NewReplacer(" ", "-", "\t", "-").Replace(path), nil
}
