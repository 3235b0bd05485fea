package queuectl

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"postrider/internal/queuedir"
	"postrider/internal/wire/manage"
)

// source is where messages are read from. Who may read the queue reads its
// files; everybody else asks qmail-send, which hands over the files of what is
// his.
type source struct {
	layout queuedir.Layout
	asked  *manage.Client // nil: qmail-send does not run
	direct bool           // the files can be read
	states map[queuedir.ID]manage.State
	ids    []queuedir.ID // of states, in order
	// trouble is told what cannot be read, a message or a directory.
	trouble func(what string, err error)
}

// newSource looks at what can be asked and read.
func newSource(l queuedir.Layout, trouble func(string, error)) (*source, error) {
	s := &source{layout: l, trouble: trouble}
	s.direct = readable(l)
	client, err := manage.Dial(l.Manage())
	switch {
	case err == nil:
		s.asked = client
	case !errors.Is(err, manage.ErrNotRunning):
		return nil, err
	case !s.direct:
		return nil, errors.New("qmail-send does not run, and only root may read the queue itself")
	}
	return s, nil
}

// readable reports whether a queue may be read, of which some directories may be
// damaged.
func readable(l queuedir.Layout) bool {
	for i := range queuedir.Buckets {
		name := queuedir.BucketName(i)
		if unix.Access(l.NewDir(name), unix.R_OK|unix.X_OK) == nil && unix.Access(l.InfoDir(name), unix.R_OK|unix.X_OK) == nil {
			return true
		}
	}
	return false
}

func (s *source) close() {
	if s.asked != nil {
		s.asked.Close()
	}
}

// learn asks for the states of all messages.
func (s *source) learn() error {
	if s.asked == nil {
		return nil
	}
	s.states = make(map[queuedir.ID]manage.State)
	err := s.asked.List(func(states []manage.State) error {
		for _, st := range states {
			s.states[st.ID] = st
			s.ids = append(s.ids, st.ID)
		}
		return nil
	})
	slices.SortFunc(s.ids, compareIDs)
	return err
}

func compareIDs(a, b queuedir.ID) int { return slices.Compare(a[:], b[:]) }

// each calls visit with each message, oldest first, or those with ids.
func (s *source) each(ids []queuedir.ID, want reading, visit func(*message, *queuedir.Entry) error) error {
	if err := s.learn(); err != nil {
		return err
	}
	if !s.direct {
		if len(ids) == 0 {
			ids = s.ids
		}
		return s.eachAsked(ids, want, visit)
	}
	if len(ids) == 0 {
		ids = s.all()
	}
	for _, id := range ids {
		if err := s.one(id, want, visit); err != nil {
			return err
		}
	}
	return nil
}

// everything returns the numbers of all messages of whoever asks.
func (s *source) everything() ([]queuedir.ID, error) {
	if s.direct {
		return s.all(), nil
	}
	err := s.learn()
	return s.ids, err
}

// all returns the numbers of all messages, in order. A directory that cannot be
// read is told of, the others are read.
func (s *source) all() (ids []queuedir.ID) {
	for i := range queuedir.Buckets {
		name := s.layout.NewDir(queuedir.BucketName(i))
		dir, err := queuedir.OpenDir(name)
		if err != nil {
			s.trouble(name, fmt.Errorf("%w; %s", err, queuedir.DirAdvice))
			continue
		}
		names, err := dir.Readdirnames(-1)
		_ = dir.Close() // only read from
		if err != nil {
			s.trouble(name, err)
		}
		for _, name := range names {
			// What is no number is the body of a message.
			if id, err := queuedir.ParseID(name); err == nil {
				ids = append(ids, id)
			}
		}
	}
	slices.SortFunc(ids, compareIDs)
	return ids
}

// one reads a message from its files. One that is not there any more is passed
// over.
func (s *source) one(id queuedir.ID, want reading, visit func(*message, *queuedir.Entry) error) error {
	entry, err := queuedir.OpenEntry(s.layout, id)
	if err != nil {
		s.tell(id, err)
		return nil
	}
	defer entry.Close()
	var progress io.Reader
	var next *os.File
	f, err := queuedir.OpenFile(s.layout.Info(id))
	switch {
	case err == nil:
		defer f.Close() // only read from
		progress, next = f, f
	case !errors.Is(err, fs.ErrNotExist):
		s.tell(id, err)
		return nil
	}
	m, err := want.read(entry, progress)
	if err != nil {
		s.tell(id, err)
		return nil
	}
	s.finish(m, next)
	return visit(m, entry)
}

func (s *source) tell(id queuedir.ID, err error) {
	if !errors.Is(err, fs.ErrNotExist) {
		s.trouble(id.String(), err)
	}
}

// finish adds what qmail-send knows, or else the file's time.
func (s *source) finish(m *message, progress *os.File) {
	st, known := s.states[m.id]
	if known {
		if st.Phase != manage.Waiting && st.Phase != manage.Deferred || m.State != isHeld && m.State != isBouncing {
			m.State = phases[st.Phase]
		}
		m.Attempts, m.InFlight = int(st.Attempts), int(st.InFlight)
		if st.Next != 0 {
			at := unixTime(st.Next)
			m.Next = &at
		}
		return
	}
	if progress == nil || m.State == isHeld {
		return
	}
	if info, err := progress.Stat(); err == nil {
		at := info.ModTime().UTC()
		m.Next = &at
	}
}

// eachAsked reads messages whose files qmail-send hands over.
func (s *source) eachAsked(ids []queuedir.ID, want reading, visit func(*message, *queuedir.Entry) error) error {
	for len(ids) > 0 {
		n := min(len(ids), manage.MaxDescribed)
		files, err := s.asked.Describe(ids[:n])
		if err != nil {
			return err
		}
		for i, f := range files {
			if f == nil {
				continue
			}
			if err == nil {
				err = s.handed(ids[i], f, want, visit)
			}
			f.Close()
		}
		if err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

func (s *source) handed(id queuedir.ID, f *manage.Message, want reading, visit func(*message, *queuedir.Entry) error) error {
	entry, err := queuedir.HandedEntry(id, f.Entry, f.Body)
	if err != nil {
		s.trouble(id.String(), err)
		return nil
	}
	defer entry.Close()
	var progress io.Reader = f.Progress
	if info, err := f.Progress.Stat(); err == nil && info.Size() == 0 {
		progress = nil
	}
	m, err := want.read(entry, progress)
	if err != nil {
		s.trouble(id.String(), err)
		return nil
	}
	s.finish(m, nil)
	return visit(m, entry)
}
