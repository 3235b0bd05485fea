package clients

import (
	"errors"
	"io"
	"os"
	"time"

	"postrider/internal/fdpass"
	"postrider/internal/queuedir"
	"postrider/internal/wire/manage"
	"postrider/qmail-send/progress"
)

// conversation is one connection.
type conversation struct {
	*Server
	client  progress.Client
	packets *fdpass.Packets
}

var errEnding = errors.New("qmail-send ends")

// run answers questions until the client has no more, or breaks the protocol.
func (v conversation) run() {
	wait := userWait
	if v.client.Operator {
		wait = operatorWait
	}
	buf := make([]byte, manage.MaxPacket)
	for {
		if err := v.packets.SetDeadline(time.Now().Add(wait)); err != nil {
			return
		}
		n, _, err := v.packets.Receive(buf, 0)
		if err != nil {
			return
		}
		q, err := manage.DecodeQuestion(buf[:n])
		if err == nil {
			err = v.answer(q)
		} else {
			_ = v.send(manage.AppendRefusal(nil, err.Error())) // it is dropped in any case
		}
		if err != nil {
			return
		}
	}
}

func (v conversation) send(packet []byte, files ...*os.File) error {
	if err := v.packets.SetDeadline(time.Now().Add(sendWait)); err != nil {
		return err
	}
	return v.packets.Send(packet, files...)
}

func (v conversation) answer(q manage.Question) error {
	var err error
	switch q.Kind {
	case manage.List:
		err = v.list()
	case manage.Describe:
		err = v.describe(q.IDs)
	case manage.Change:
		if !v.client.Operator && q.Order.Kind != manage.Delete {
			return v.send(manage.AppendRefusal(nil, "only root may do that; you can delete what you have handed in"))
		}
		err = v.change(q.Order)
	case manage.Scan:
		if !v.client.Operator {
			return v.send(manage.AppendRefusal(nil, "only root may do that"))
		}
		err = v.inside(v.asked.Scan)
	case manage.Shaping:
		if !v.client.Operator {
			return v.send(manage.AppendRefusal(nil, "only root may see that"))
		}
		err = v.shaping()
	default:
		return v.send(manage.AppendRefusal(nil, "no files were handed over"))
	}
	if err != nil {
		return err
	}
	return v.send([]byte{manage.End})
}

// inside runs f in the scheduler.
func (v conversation) inside(f func()) error {
	done := make(chan struct{})
	v.Post(func() { f(); close(done) })
	select {
	case <-done:
		return nil
	case <-v.Stopped:
		return errEnding
	}
}

// list sends what there is. Going through all of it costs time in which nothing
// is delivered: users take turns, and wait afterwards.
func (v conversation) list() error {
	if !v.client.Operator {
		v.listing.Lock()
		defer v.listing.Unlock()
		begun := time.Now()
		defer func() { time.Sleep(min(listPause*time.Since(begun), maxListPause)) }()
		if err := v.learnOwners(); err != nil {
			return err
		}
	}
	var states []manage.State
	if err := v.inside(func() { states = v.asked.States(v.client) }); err != nil {
		return err
	}
	for len(states) > 0 {
		n := min(len(states), statesAtOnce)
		if err := v.send(manage.AppendStates(nil, states[:n])); err != nil {
			return err
		}
		states = states[n:]
	}
	return nil
}

// learnOwners finds out whose the messages are that a scan has found.
func (v conversation) learnOwners() error {
	var unknown []queuedir.ID
	err := v.inside(func() { unknown = v.asked.Ownerless() })
	for err == nil && len(unknown) > 0 {
		n := min(len(unknown), ownersAtOnce)
		owners := make(map[queuedir.ID]uint32, n)
		for _, id := range unknown[:n] {
			if uid, err := ownerOf(v.Layout, id); err == nil {
				owners[id] = uid
			}
		}
		unknown = unknown[n:]
		err = v.inside(func() { v.asked.Owned(owners) })
	}
	return err
}

// ownerOf returns who has handed in a message.
func ownerOf(l queuedir.Layout, id queuedir.ID) (uint32, error) {
	entry, err := queuedir.OpenEntry(l, id)
	if err != nil {
		return 0, err
	}
	defer entry.Close()
	envelope, err := entry.Envelope()
	if err != nil {
		return 0, err
	}
	return envelope.Head.UID, nil
}

// describe hands over the files of messages, and waits until they are taken.
func (v conversation) describe(ids []queuedir.ID) error {
	if !v.client.Operator {
		v.handing.Lock()
		defer v.handing.Unlock()
	}
	if err := v.hand(ids); err != nil {
		return err
	}
	if err := v.packets.SetDeadline(time.Now().Add(handWait)); err != nil {
		return err
	}
	var buf [2]byte
	n, _, err := v.packets.Receive(buf[:], 0)
	if err == nil && string(buf[:n]) != string(manage.Taken) {
		err = errors.New("files are not taken")
	}
	return err
}

func (v conversation) hand(ids []queuedir.ID) error {
	var may []bool
	err := v.inside(func() { may = v.asked.May(v.client, ids) })
	if err != nil {
		return err
	}
	empty, err := queuedir.Memfd(nil)
	if err != nil {
		return err
	}
	defer empty.Close()
	var files, opened []*os.File
	defer func() { fdpass.CloseAll(opened) }()
	found := make([]bool, len(ids))
	for i, id := range ids {
		if !may[i] {
			continue
		}
		if uid, err := ownerOf(v.Layout, id); err != nil || !v.client.Owns(uid) {
			continue
		}
		entry, err := queuedir.OpenFile(v.Layout.Entry(id))
		if err != nil {
			continue
		}
		opened = append(opened, entry)
		files = append(files, entry)
		for _, name := range []string{v.Layout.Info(id), v.Layout.Body(id)} {
			f, err := queuedir.OpenFile(name)
			if err != nil { // it has no such file, or lost it meanwhile
				files = append(files, empty)
				continue
			}
			opened = append(opened, f)
			files = append(files, f)
		}
		found[i] = true
	}
	return v.send(manage.AppendFound(nil, found), files...)
}

// change has an order done, and sends what became of it.
func (v conversation) change(o manage.Order) error {
	wanted := &progress.Order{Order: o, From: v.client, At: v.Clock.Now(), Results: make(chan manage.Result, len(o.Targets))}
	if err := v.inside(func() { v.asked.Take(wanted) }); err != nil {
		return err
	}
	for left := len(o.Targets); left > 0; {
		some, err := v.someResults(wanted.Results, left)
		if err != nil {
			return err
		}
		left -= len(some)
		for len(some) > 0 {
			n := manage.ResultsFit(some)
			if err := v.send(manage.AppendResults(nil, some[:n])); err != nil {
				return err
			}
			some = some[n:]
		}
	}
	return nil
}

// someResults waits for a result and takes those that are there with it.
func (v conversation) someResults(results <-chan manage.Result, most int) (some []manage.Result, err error) {
	select {
	case r := <-results:
		some = append(some, r)
	case <-v.Stopped:
		return nil, io.EOF
	}
	for len(some) < min(most, resultsAtOnce) {
		select {
		case r := <-results:
			some = append(some, r)
		default:
			return some, nil
		}
	}
	return some, nil
}

// shaping sends what is known of destinations.
func (v conversation) shaping() error {
	var all []manage.Destination
	if err := v.inside(func() { all = v.asked.Destinations() }); err != nil {
		return err
	}
	for len(all) > 0 {
		n := manage.DestinationsFit(all)
		if err := v.send(manage.AppendDestinations(nil, all[:n])); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}
