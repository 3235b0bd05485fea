package show

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"postrider/internal/queuedir"
)

// exitTemporary says that the queue could not be read.
const exitTemporary = 111

// namesAtOnce bounds how much of a directory is in memory.
const namesAtOnce = 1000

// entries calls visit with each message of the queue, bucket by bucket. Those of a
// directory that cannot be read are missing; the error says so at the end.
func entries(l queuedir.Layout, visit func(queuedir.ID) error) error {
	var unread error
	for i := range queuedir.Buckets {
		var stop error
		err := names(l.NewDir(queuedir.BucketName(i)), func(name string) error {
			// What is no ID is the body of one.
			if id, err := queuedir.ParseID(name); err == nil {
				stop = visit(id)
			}
			return stop
		})
		switch {
		case stop != nil:
			return stop
		case errors.Is(err, errNotPermitted):
			return err // nor may others be read
		case unread == nil:
			unread = err
		}
	}
	return unread
}

// names calls visit with the names in a directory.
func names(path string, visit func(string) error) error {
	dir, err := queuedir.OpenDir(path)
	if err != nil {
		return unreadable(path, err)
	}
	defer dir.Close() // only read from
	for {
		some, err := dir.Readdirnames(namesAtOnce)
		for _, name := range some {
			if err := visit(name); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return unreadable(path, err)
		}
	}
}

// errNotPermitted says who could look.
var errNotPermitted = errors.New("permission denied; only root and qmails may see the queue")

// unreadable says why the queue cannot be looked at, and who could.
func unreadable(path string, err error) error {
	var reason *fs.PathError
	if errors.As(err, &reason) {
		err = reason.Err
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("unable to read %s: %w", path, errNotPermitted)
	}
	return errors.New("unable to read " + path + ": " + err.Error())
}
