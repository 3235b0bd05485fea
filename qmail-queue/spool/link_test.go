package spool

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/clock"
	"postrider/internal/durable"
	"postrider/internal/durable/durabletest"
	"postrider/internal/fdpass"
	"postrider/internal/queuedir"
	"postrider/internal/wire/entries"
)

// linkPair is a link and the scheduler's end of it.
func linkPair(t *testing.T, s *Store) (*link, *fdpass.Packets) {
	t.Helper()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	packets, err := fdpass.NewPackets(ours)
	if err != nil {
		t.Fatal(err)
	}
	peer, err := fdpass.NewPackets(theirs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	return newLink(s, packets, func(string) {}), peer
}

// A scheduler that does not read never holds up acceptance; when it reads
// again it is told to scan (invariant 4).
func TestSlowSchedulerIsToldToScan(t *testing.T) {
	t.Parallel()
	l, peer := linkPair(t, diskStore(newDisk()))
	go l.run()
	envelope := make([]byte, entries.MaxInlineEnvelope)
	const many = 500
	for i := range many {
		l.announce(entries.Message{Kind: entries.Announced, ID: queuedir.NewID(time.Now(), i, i), Envelope: envelope})
	}
	announced, scans := 0, 0
	last := entries.Message{Kind: entries.Announced, ID: queuedir.NewID(time.Now(), 99, 99)}
	asked := false
	for heard := false; !heard; {
		heard = receive(t, peer, func(m entries.Message) bool {
			switch {
			case m.Kind == entries.Scan:
				scans++
			case m.ID == last.ID:
				return true
			default:
				announced++
			}
			return false
		})
		if scans > 0 && !asked && l.isIdle() {
			asked = true
			l.announce(last) // as if nothing had been
		}
	}
	if scans == 0 || announced == 0 || announced >= many {
		t.Errorf("%d announced, %d scans", announced, scans)
	}
}

// receive gives a packet's messages to visit and tells whether one was it.
func receive(t *testing.T, peer *fdpass.Packets, visit func(entries.Message) bool) bool {
	t.Helper()
	buf := make([]byte, fdpass.MaxPacket)
	n, _, err := peer.Receive(buf, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	err = entries.Decode(buf[:n], func(m entries.Message) error {
		found = visit(m) || found
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func (l *link) isIdle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting) == 0 && !l.scan
}

// What was committed before a link came, or while it replaced another one, the
// scheduler is told to look for.
func TestEntriesBeforeALinkAreScannedFor(t *testing.T) {
	t.Parallel()
	ends := make([]*link, 3)
	for i := range ends {
		ends[i] = &link{}
		ends[i].changed.L = &ends[i].mu
		ends[i].ended = true // nothing to close
	}
	var quiet, l latest
	quiet.replace(ends[0])
	if ends[0].scan {
		t.Error("a scan for nothing")
	}
	l.announce(entries.Message{Kind: entries.Announced, ID: queuedir.NewID(time.Now(), 0, 0)})
	l.replace(ends[1])
	if !ends[1].scan {
		t.Error("an entry before the link is not looked for")
	}
	l.replace(ends[2])
	if !ends[2].scan {
		t.Error("entries between two links are not looked for")
	}
}

func TestPeerWhoBreaksTheProtocolIsDropped(t *testing.T) {
	t.Parallel()
	for name, packet := range map[string][]byte{
		"rubbish":         []byte("rubbish"),
		"our own message": entries.Append(nil, entries.Message{Kind: entries.Removed, ID: queuedir.NewID(time.Now(), 1, 1)}),
	} {
		l, peer := linkPair(t, diskStore(newDisk()))
		go l.run()
		if err := peer.Send(packet); err != nil {
			t.Fatal(err)
		}
		if _, _, err := peer.Receive(make([]byte, 100), 0); err != io.EOF {
			t.Errorf("%s: %v", name, err)
		}
		l.announce(entries.Message{Kind: entries.Announced}) // goes nowhere
	}
}

// What is being committed is not committed.
func TestQueryOfWhatIsInFlight(t *testing.T) {
	t.Parallel()
	q := startQueue(t)
	c := q.connect()
	whole := frames("message\n", goodEnvelope, newNonce())
	if _, err := c.Write(whole[:7]); err != nil {
		t.Fatal(err)
	}
	q.untilBusy(1)
	var id queuedir.ID
	q.store.mu.Lock()
	for id = range q.store.inflight {
	}
	q.store.mu.Unlock()
	// Even where a file of that name exists, renamed but not synced.
	if err := os.WriteFile(q.layout.Entry(id), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	q.say(entries.Message{Kind: entries.Query, ID: id})
	if got := q.hear(1)[0]; got.Kind != entries.NotCommitted {
		t.Errorf("answered %c", got.Kind)
	}
}

// What a former process has left is given to the scheduler once the dropbox knows
// what of it lies in drop/ as well.
func TestQueryBeforeDropIsKnown(t *testing.T) {
	t.Parallel()
	q := startQueue(t)
	id := queuedir.NewID(time.Now(), 1, 1)
	if err := os.WriteFile(q.layout.Entry(id), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	q.store.holdQueries()
	q.say(entries.Message{Kind: entries.Query, ID: id})
	if err := q.peer.SetDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, _, err := q.peer.Receive(make([]byte, fdpass.MaxPacket), 0); err == nil {
		t.Errorf("answered at once: %d bytes", n)
	}
	q.store.openToQueries()
	if got := q.hear(1)[0]; got.Kind != entries.Committed {
		t.Errorf("answered %c", got.Kind)
	}
}

func TestRemovalOfWhatIsGone(t *testing.T) {
	t.Parallel()
	q := startQueue(t)
	id := queuedir.NewID(time.Now(), 1, 1)
	q.say(entries.Message{Kind: entries.Remove, ID: id})
	q.say(entries.Message{Kind: entries.Quarantine, ID: id})
	kinds := map[entries.Kind]bool{}
	for _, m := range q.hear(2) {
		kinds[m.Kind] = m.ID == id
	}
	if !kinds[entries.Removed] || !kinds[entries.Quarantined] {
		t.Errorf("answered %v", kinds)
	}
}

// Torn entries of a former process go where they expire; all others stay.
func TestQuarantine(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		born time.Duration // against our start
		torn bool
		into string
	}{
		{"torn by a crash", -time.Hour, true, "bad/unacked"},
		{"damaged later", -time.Hour, false, "bad"},
		{"torn, but acknowledged by us", time.Hour, true, "bad"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			q := startQueue(t)
			id := queuedir.NewID(q.store.begun.Add(tc.born), 1, 1)
			for _, name := range []string{q.layout.Entry(id), q.layout.Body(id)} {
				if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			q.say(entries.Message{Kind: entries.Quarantine, ID: id, Torn: tc.torn})
			if m := q.hear(1)[0]; m.Kind != entries.Quarantined || m.ID != id {
				t.Errorf("answered %+v", m)
			}
			want := filepath.Join(tc.into, id.String())
			if got := strings.Join(q.files(), " "); got != want+" "+want+".body" {
				t.Errorf("files %q", got)
			}
			if !q.logged("alert: " + id.String()) {
				t.Error("nobody was told")
			}
		})
	}
}

// movedClock is the real clock, set to another time.
type movedClock struct {
	clock.Clock
	by time.Duration
}

func (c *movedClock) Now() time.Time { return c.Clock.Now().Add(c.by) }

func TestSweep(t *testing.T) {
	t.Parallel()
	d := newDisk()
	c := &movedClock{Clock: clock.Real()}
	d.SetClock(c.Now)
	s := NewStore(d, durable.NewGroup(d.SyncAll), c, func(string) {})
	id := func(seq int) queuedir.ID { return queuedir.NewID(c.Now(), seq, 7) }
	stale, orphan, whole, torn, kept := id(1), id(2), id(3), id(4), id(5)
	for _, name := range []string{
		layout.Tmp() + "/" + stale.String(), layout.Tmp() + "/other", layout.Body(orphan),
		layout.Entry(whole), layout.Body(whole),
		layout.BadUnacked() + "/" + torn.String(), layout.Bad() + "/" + kept.String(),
	} {
		f, err := d.Create(name, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	busy, err := s.begin(origin{})
	if err != nil {
		t.Fatal(err)
	}
	if err := busy.spillBody(); err != nil {
		t.Fatal(err)
	}
	names := func() string {
		k := keys(d.Files())
		return strings.Join(k, " ")
	}
	has := func(name string) bool { return strings.Contains(names(), name) }

	s.sweep()
	if has(orphan.String()) || !has(stale.String()) || !has(whole.String()+".body") || !has(torn.String()) {
		t.Errorf("at once: %s", names())
	}
	c.by = staleAge + time.Minute
	s.sweep()
	if has("tmp/"+stale.String()) || has("tmp/other") || !has(busy.id.String()) || !has(torn.String()) {
		t.Errorf("after %v: %s", staleAge, names())
	}
	c.by = unackedAge + time.Minute
	s.sweep()
	if has(torn.String()) || !has(kept.String()) || !has(whole.String()) {
		t.Errorf("after %v: %s", unackedAge, names())
	}
}

// What cannot be removed after a failed commit is held back until it can.
func TestRefusedEntryThatResists(t *testing.T) {
	t.Parallel()
	d := newDisk()
	s := diskStore(&resisting{Disk: d})
	_, err := samples[0].put(s)
	if err == nil {
		t.Fatal("accepted though its sync failed")
	}
	ids := visible(d)
	if len(ids) != 1 || s.isCommitted(ids[0]) {
		t.Fatalf("entries %v", ids)
	}
	s.tree.(*resisting).allowed = true
	s.retryDoomed()
	if len(visible(d)) != 0 || len(s.inflight) != 0 {
		t.Errorf("entries %v, %d in flight", visible(d), len(s.inflight))
	}
}

// resisting is a disk on which neither sync nor unlink works.
type resisting struct {
	*durabletest.Disk
	allowed bool
}

func (r *resisting) Unlink(name string) error {
	if !r.allowed {
		return errors.New("EROFS")
	}
	return r.Disk.Unlink(name)
}

func (r *resisting) Dir(string) (durable.Dir, error) { return nil, errors.New("EIO") }

// Trouble with the disk is not "gone": the scheduler keeps the message.
func TestQueryWithTrouble(t *testing.T) {
	t.Parallel()
	d := newDisk()
	s := diskStore(d)
	m, err := samples[0].put(s)
	if err != nil {
		t.Fatal(err)
	}
	d.FailAt(0, unix.EIO)
	if !s.isCommitted(m.ID) {
		t.Error("EIO counts as gone")
	}
	if d.FailAt(-1, nil); s.isCommitted(queuedir.NewID(time.Unix(1, 0), 0, 0)) {
		t.Error("an unknown message counts as committed")
	}
}
