package show

import (
	"errors"
	"slices"

	"postrider/internal/queuedir"
	"postrider/internal/wire/manage"
)

// own writes the lines of the messages that the caller has handed in; refused
// says why he does not see others.
func (r *reader) own(refused error) error {
	client, err := manage.Dial(r.layout.Manage())
	if errors.Is(err, manage.ErrNotRunning) {
		return refused
	}
	if err != nil {
		return err
	}
	defer client.Close()
	var ids []queuedir.ID
	err = client.List(func(states []manage.State) error {
		for _, s := range states {
			ids = append(ids, s.ID)
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(ids, func(a, b queuedir.ID) int { return slices.Compare(a[:], b[:]) })
	for some := range slices.Chunk(ids, manage.MaxDescribed) {
		files, err := client.Describe(some)
		if err != nil {
			return err
		}
		for i, f := range files {
			if f == nil {
				continue // it has left the queue
			}
			if err == nil {
				err = r.note(some[i], r.handed(some[i], f))
			}
			f.Close()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// handed writes the lines of a message that was handed over.
func (r *reader) handed(id queuedir.ID, f *manage.Message) error {
	entry, err := queuedir.HandedEntry(id, f.Entry, f.Body)
	if err != nil {
		return err
	}
	defer entry.Close()
	return r.show(entry, f.Progress)
}
