package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Every mail system delivers into the same mailboxes, u0@local.test and so on,
// which belong to one user.
const (
	mailUID  = 5000
	mailRoot = "/home/srv/mail"
	mailHome = "/srv/mail" // in the trees
)

// mailUser is a local recipient.
func mailUser(i int) string { return fmt.Sprintf("u%d@local.test", i) }

// mailUsers are the first n.
func mailUsers(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = mailUser(i)
	}
	return list
}

// newDir is where new mail of a user is, as the host names it.
func newDir(user int) string { return fmt.Sprintf("%s/u%d/Maildir/new", mailRoot, user) }

// makeMailboxes makes those from number first to below end.
func (y *yard) makeMailboxes(first, end int) error {
	root := y.host.Path(mailRoot)
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	for i := first; i < end; i++ {
		home := filepath.Join(root, fmt.Sprintf("u%d", i))
		for _, dir := range []string{home, home + "/Maildir", home + "/Maildir/tmp", home + "/Maildir/new", home + "/Maildir/cur"} {
			if err := errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, mailUID, mailUID)); err != nil {
				return err
			}
		}
	}
	return nil
}

// emptyMailboxes removes all mail of these users.
func (y *yard) emptyMailboxes(users []int) error {
	for _, user := range users {
		dir := y.host.Path(newDir(user))
		names, err := namesIn(dir)
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// delivered waits until each user has n messages and returns when the last one
// came: the change time of the youngest, so that waiting costs nothing. It
// looks at one user after the other, seldom, for the same reason.
func (y *yard) delivered(ctx context.Context, users []int, n int) (time.Time, error) {
	var last time.Time
	for _, user := range users {
		dir := y.host.Path(newDir(user))
		for {
			names, err := namesIn(dir)
			if err != nil {
				return last, err
			}
			if len(names) > n {
				return last, fmt.Errorf("%s has %d messages of %d", mailUser(user), len(names), n)
			}
			if len(names) == n {
				if last, err = youngest(dir, names, last); err != nil {
					return last, err
				}
				break
			}
			select {
			case <-ctx.Done():
				return last, fmt.Errorf("%s has %d messages of %d: %w", mailUser(user), len(names), n, ctx.Err())
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	return last, nil
}

func youngest(dir string, names []string, last time.Time) (time.Time, error) {
	for _, name := range names {
		var st syscall.Stat_t
		if err := syscall.Stat(filepath.Join(dir, name), &st); err != nil {
			return last, err
		}
		if changed := time.Unix(st.Ctim.Unix()); changed.After(last) {
			last = changed
		}
	}
	return last, nil
}

func namesIn(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// upTo returns 0 to n-1.
func upTo(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}
