package qmailsend

import (
	"errors"
	"io"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"postrider/internal/fdpass"
	"postrider/internal/queuedir"
	"postrider/internal/wire/manage"
	"postrider/qmail-send/progress"
)

// Anybody may connect to queue/manage.sock. Who that is the kernel says; what he
// may have is decided here and nowhere else.

const (
	// Operators have connections of their own, so that users cannot keep them
	// out.
	maxOperators  = 8
	maxUsers      = 16
	maxOfOneUser  = 2
	operatorWait  = 10 * time.Minute // for the next question
	userWait      = 20 * time.Second
	sendWait      = time.Minute      // for an answer to be taken
	handWait      = 10 * time.Second // for files to be taken
	acceptPause   = 100 * time.Millisecond
	ownersAtOnce  = 500
	listPause     = 9 // times what the list of a user has taken
	maxListPause  = 2 * time.Second
	statesAtOnce  = manage.MaxStates
	resultsAtOnce = 500
)

// mayHave is owns for a message of which it may not be known yet whose it is:
// who goes on then asks the entry.
func mayHave(c progress.Client, m *message) bool {
	return c.Operator || !m.is(ownerKnown) || m.uid == c.UID
}

// manager serves the socket.
type manager struct {
	s    *scheduler
	self uint32 // qmail-send's own user
	// strangers are those as whom mail of the network is handed in: that does
	// not make it theirs.
	strangers []string

	listing sync.Mutex // one user at a time
	handing sync.Mutex // the same: of descriptors that are sent and not taken each user id may have few

	mu        sync.Mutex
	operators int
	users     int
	byUID     map[uint32]int
}

// attachManage begins to serve the listening socket l, but for the strangers, who
// are uids.
func (s *scheduler) attachManage(l *os.File, strangers []string) {
	g := &manager{s: s, self: uint32(os.Geteuid()), strangers: strangers, byUID: make(map[uint32]int)}
	go func() {
		<-s.stopped
		_ = l.Close() // our successor has it
	}()
	go g.accept(l)
}

func (g *manager) accept(l *os.File) {
	for told := false; ; {
		f, err := fdpass.Accept(l)
		select {
		case <-g.s.stopped:
			if err == nil {
				_ = f.Close() // nothing was said
			}
			return
		default:
		}
		if err != nil {
			if !told {
				told = true
				g.s.post(func() { g.s.logf("warning: cannot accept a client of the queue: %v", err) })
			}
			time.Sleep(acceptPause)
			continue
		}
		g.begin(f)
	}
}

// begin serves a connection, if there may be another one of this client.
func (g *manager) begin(f *os.File) {
	uid, err := fdpass.PeerUID(f)
	packets, packetsErr := fdpass.NewPackets(f)
	if err != nil || packetsErr != nil {
		_ = f.Close() // nothing was said
		return
	}
	c := progress.Client{UID: uid, Operator: uid == 0 || uid == g.self}
	refusal := ""
	switch {
	case g.isStranger(c):
		refusal = "the queue is not for those who take in mail of the network"
	case !g.admit(c):
		refusal = "too many connections; try again"
	}
	if refusal != "" {
		_, _ = packets.TrySend(manage.AppendRefusal(nil, refusal))
		_ = packets.Close() // nothing was asked
		return
	}
	go func() {
		defer g.dismiss(c)
		defer packets.Close()
		conversation{g, c, packets}.run()
	}()
}

func (g *manager) isStranger(c progress.Client) bool {
	return !c.Operator && slices.Contains(g.strangers, strconv.FormatUint(uint64(c.UID), 10))
}

func (g *manager) admit(c progress.Client) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case c.Operator && g.operators < maxOperators:
		g.operators++
	case !c.Operator && g.users < maxUsers && g.byUID[c.UID] < maxOfOneUser:
		g.users++
		g.byUID[c.UID]++
	default:
		return false
	}
	return true
}

func (g *manager) dismiss(c progress.Client) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.Operator {
		g.operators--
		return
	}
	g.users--
	if g.byUID[c.UID]--; g.byUID[c.UID] == 0 {
		delete(g.byUID, c.UID)
	}
}

// conversation is one connection.
type conversation struct {
	*manager
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
		err = v.inside(v.s.startScan)
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
	v.s.post(func() { f(); close(done) })
	select {
	case <-done:
		return nil
	case <-v.s.stopped:
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
	if err := v.inside(func() { states = v.s.states(v.client) }); err != nil {
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

// states returns what is known of the messages of c.
func (s *scheduler) states(c progress.Client) (all []manage.State) {
	now := s.clock.Now()
	for _, m := range s.messages {
		if !c.Operator && (!m.is(ownerKnown) || m.uid != c.UID) {
			continue
		}
		state := manage.State{ID: m.id, Phase: m.phase(), Attempts: m.attempts}
		if at := s.nextTry(m, s.line.At(now)); at != never && m.is(attempted) {
			state.Next = s.line.ToWall(at, now).Unix()
		}
		if m.active != nil {
			state.InFlight = uint16(min(m.active.outstanding(), 1<<16-1))
		}
		all = append(all, state)
	}
	return all
}

func (m *message) phase() manage.Phase {
	switch {
	case m.is(quarantined):
		return manage.Aside
	case m.is(removing):
		return manage.Leaving
	case m.is(held):
		return manage.HeldBack
	case m.active != nil:
		return manage.InHand
	case m.due[settling] != never && m.due[local] == never && m.due[remote] == never:
		return manage.Reporting
	case m.is(attempted):
		return manage.Deferred
	}
	return manage.Waiting
}

// learnOwners finds out whose the messages are that a scan has found.
func (v conversation) learnOwners() error {
	var unknown []queuedir.ID
	err := v.inside(func() {
		for _, m := range v.s.messages {
			if !m.is(ownerKnown) {
				unknown = append(unknown, m.id)
			}
		}
	})
	for err == nil && len(unknown) > 0 {
		n := min(len(unknown), ownersAtOnce)
		owners := make(map[queuedir.ID]uint32, n)
		for _, id := range unknown[:n] {
			if uid, err := ownerOf(v.s.layout, id); err == nil {
				owners[id] = uid
			}
		}
		unknown = unknown[n:]
		err = v.inside(func() {
			for id, uid := range owners {
				if m := v.s.messages[id]; m != nil {
					m.uid = uid
					m.flags |= ownerKnown
				}
			}
		})
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
	err := v.inside(func() {
		for _, id := range ids {
			m := v.s.messages[id]
			may = append(may, m != nil && mayHave(v.client, m))
		}
	})
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
		if uid, err := ownerOf(v.s.layout, id); err != nil || !v.client.Owns(uid) {
			continue
		}
		entry, err := queuedir.OpenFile(v.s.layout.Entry(id))
		if err != nil {
			continue
		}
		opened = append(opened, entry)
		files = append(files, entry)
		for _, name := range []string{v.s.layout.Info(id), v.s.layout.Body(id)} {
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
	wanted := &progress.Order{Order: o, From: v.client, At: v.s.clock.Now(), Results: make(chan manage.Result, len(o.Targets))}
	if err := v.inside(func() { v.s.take(wanted) }); err != nil {
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
	case <-v.s.stopped:
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
