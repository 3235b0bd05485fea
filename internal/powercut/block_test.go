package powercut

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"postrider/internal/ledger"
	"postrider/internal/operator"
	"postrider/internal/testhost"
)

// TestNothingIsLostByAnyBlock has a disk remember all that a file system wrote
// under load, and makes the disks that a power cut may leave of it: everything
// up to a flush, and of what was written until the next one any part; of the
// last write some sectors are old. Each is mounted and looked at; on some the
// suite is started.
func TestNothingIsLostByAnyBlock(t *testing.T) {
	for _, disk := range []testhost.Disk{
		{Size: 448 << 20, FS: "ext4"}, {Size: 512 << 20, FS: "xfs"}, {Size: 448 << 20, FS: "btrfs"},
	} {
		t.Run(disk.FS, func(t *testing.T) {
			boundaries := testhost.Times(t, "flushes to replay, at most", 5, 1<<30)
			subsets := testhost.Times(t, "disks of each", 2, 20)
			starts := testhost.Times(t, "starts of the suite", 1, 100)
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			r := recordBlocks(t, disk)
			r.random = rand.New(rand.NewPCG(seed, 0))
			r.whole = sectorSize
			if disk.FS == "btrfs" {
				r.whole = 4096 // it counts on that: a mount reads no other copy of a torn super block
			}
			r.replay(boundaries, subsets, starts)
			r.mustFail()
		})
	}
}

// blockRun is what a disk remembers of a load.
type blockRun struct {
	*station
	c      Case
	size   int64
	base   image
	tree   *Tree
	log    []blockOp
	acks   []blockAck
	obeyed []blockAnswer
	random *rand.Rand
	whole  int // bytes that a disk writes or does not
}

// blockAck is a message that was acknowledged when so much had been written.
type blockAck struct {
	position int
	message  Message
}

// blockAnswer is an order that was answered when so much had been written.
type blockAnswer struct {
	position int
	entry    string
}

// waiting is where the mail waits that orders are about: with a user of the host
// itself, since what another host has cannot be seen on the disk.
const waiting = "erin-waiting-"

func recordBlocks(t *testing.T, disk testhost.Disk) *blockRun {
	t.Helper()
	testhost.NeedRoot(t, "disks")
	made, err := testhost.NewImage(disk)
	if err != nil {
		t.Fatal(err)
	}
	content, size, err := readImage(made)
	made.Close()
	if err != nil {
		t.Fatal(err)
	}
	d := newBlockDisk(t, content, size)
	disk.Image = d.file
	s := newStation(t, testhost.WithDisk(disk))
	s.concurrency(20)
	s.host.Must("touch", "/tmp/open")
	s.host.WriteFile("/home/erin/.qmail-waiting-default", "|test -e /tmp/released || exit 111\n./Maildir/\n", 0o644)
	s.host.Chown("/home/erin/.qmail-waiting-default", "erin")
	s.host.Must("sync", "-f", "/var/qmail")
	run := &blockRun{station: s, size: size, tree: s.tree()}
	run.base = d.record()
	r := &recording{station: s, c: Case{Places: make(map[string]Place)}}
	s.host.StartSuite()
	run.load(r, d)
	s.host.Must("touch", "/tmp/released")
	r.empty()
	s.host.StopSuite()
	d.mu.Lock()
	defer d.mu.Unlock()
	run.c, run.log = r.c, d.log
	d.keep = false
	return run
}

// load sends messages on some connections and notes when each was acknowledged.
func (b *blockRun) load(r *recording, d *blockDisk) {
	b.t.Helper()
	var lists [][]Message
	for n := range 3 {
		lists = append(lists, []Message{
			r.compose(600, "alice", fmt.Sprintf("alice-%d", n)), r.compose(17_000, "erin"),
			r.compose(70_000, "alice", "dave"), r.compose(900, "nobody"), r.compose(4000, "alice"),
		})
	}
	var some, others []Message
	for n := range courses() {
		some = append(some, r.compose(600, fmt.Sprintf("%s%d", waiting, n), "alice"))
	}
	for n := range many {
		others = append(others, r.compose(600, fmt.Sprintf("%sm%d", waiting, n)))
	}
	lists = append(lists, some, others)
	var all sync.WaitGroup
	var mu sync.Mutex
	for _, list := range lists {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(b.t.Context(), soon)
			defer cancel()
			c, err := b.host.SMTP(ctx, b.host.IP.String()+":25")
			if err != nil {
				b.t.Error(err)
				return
			}
			defer c.Close()
			for _, m := range list {
				if err := c.Send("load@"+domain, m.Recipients, m.Text); err != nil {
					b.t.Errorf("%v\nlog:\n%s", err, b.host.Log().Timed(0))
					return
				}
				mu.Lock()
				b.acks = append(b.acks, blockAck{d.position(), m})
				mu.Unlock()
			}
		})
	}
	all.Go(func() { b.operate(r, d, some, others) })
	all.Wait()
}

// courses are those of an operator that leave the mail on the host.
func courses() [][]operator.Step {
	return slices.DeleteFunc(operator.Courses(), func(course []operator.Step) bool {
		return slices.ContainsFunc(course, func(s operator.Step) bool { return s.Kind == ledger.Reroute })
	})
}

// operate does one course with each of some messages, and holds and releases all
// others with one command each, while mail comes in. He is the only one who
// changes the case then.
func (b *blockRun) operate(r *recording, d *blockDisk, some, others []Message) {
	random := rand.New(rand.NewPCG(1, 1))
	op := r.operator()
	op.Done = func(o ledger.Order) { b.obeyed = append(b.obeyed, blockAnswer{d.position(), o.QueueID}) }
	ctx, cancel := context.WithTimeout(b.t.Context(), soon)
	defer cancel()
	for n, course := range courses() {
		m := some[n]
		c := operator.Case{ID: m.ID, To: m.Recipients[0], Address: fmt.Sprintf("alice-moved-%d@%s", n, domain)}
		r.c.Places[c.Address] = placeOf(c.Address)
		if err := op.Follow(ctx, course, c, random); err != nil {
			b.t.Error(err)
			return
		}
	}
	for _, kind := range []ledger.OrderKind{ledger.Hold, ledger.Release} {
		if err := r.giveAll(ctx, op, others, kind); err != nil {
			b.t.Error(err)
			return
		}
	}
}

// replay makes disks of the log. The host's own disk is not used any more.
func (b *blockRun) replay(boundaries, subsets, starts int) {
	b.t.Helper()
	var flushes []int
	writes := 0
	for i, o := range b.log {
		if o.data == nil {
			flushes = append(flushes, i)
		} else {
			writes++
		}
	}
	b.t.Logf("%d writes and %d flushes for %d messages and %d orders", writes, len(flushes), len(b.acks), len(b.obeyed))
	chosen := make(map[int]bool)
	for _, i := range b.random.Perm(len(flushes))[:min(boundaries, len(flushes))] {
		chosen[i] = true
	}
	content := maps.Clone(b.base)
	applied, disks, started := 0, 0, 0
	for n, flush := range flushes {
		for ; applied < flush; applied++ {
			content.write(b.log[applied].at, b.log[applied].data)
		}
		if !chosen[n] {
			continue
		}
		next := len(b.log)
		if n+1 < len(flushes) {
			next = flushes[n+1]
		}
		for i := range subsets {
			after := b.log[flush+1 : next]
			disk := maps.Clone(content)
			if i > 0 {
				b.part(disk, after)
			}
			start := started*len(chosen)*subsets <= disks*starts && started < starts
			b.look(fmt.Sprintf("flush %d of %d, disk %d", n, len(flushes), i), disk, next, start)
			disks++
			if start {
				started++
			}
		}
	}
	b.t.Logf("%d disks, on %d the suite was started", disks, started)
}

// part writes some of the writes, in their order; of the last some sectors.
func (b *blockRun) part(disk image, writes []blockOp) {
	writes = slices.DeleteFunc(slices.Clone(writes), func(blockOp) bool { return b.random.IntN(2) == 0 })
	for i, o := range writes {
		if i+1 < len(writes) {
			disk.write(o.at, o.data)
			continue
		}
		for at := 0; at < len(o.data); at += b.whole {
			if b.random.IntN(2) == 0 {
				disk.write(o.at+int64(at), o.data[at:min(at+b.whole, len(o.data))])
			}
		}
	}
}

// look mounts a disk and checks what is on it, for all that had been
// acknowledged before so much was written.
func (b *blockRun) look(name string, content image, until int, start bool) {
	b.t.Helper()
	b.t.Run(name, func(t *testing.T) {
		tree, broken := b.check(t, content, b.acked(until), b.answered(until))
		for _, v := range broken {
			t.Errorf("%v", v)
		}
		if start {
			b.start(t, tree, b.acked(until))
		}
		b.host.RemoveDisk()
	})
}

// acked is the case of the load when so much had been written.
func (b *blockRun) acked(until int) Case {
	c := b.c
	for _, a := range b.acks {
		if a.position > until {
			continue
		}
		for _, r := range a.message.Recipients {
			c.Acked = append(slices.Clip(c.Acked), Pair{a.message.ID, r})
		}
	}
	return c
}

// answered are the answers to orders when so much had been written.
func (b *blockRun) answered(until int) (marks []Mark) {
	for _, a := range b.obeyed {
		if a.position <= until {
			marks = append(marks, Mark{Kind: Obeyed, ID: a.entry})
		}
	}
	return marks
}

// check mounts a disk; it stays mounted.
func (b *blockRun) check(t *testing.T, content image, c Case, marks []Mark) (*Tree, []Violation) {
	t.Helper()
	d := newBlockDisk(t, content, b.size)
	b.host.SetDisk(d.file)
	tree := (&station{t: t, host: b.host}).tree()
	k := NewChecker(&Trace{Base: b.tree}, c)
	return tree, k.Check(&State{Tree: tree, Marks: marks, durable: &moment{tree: &Tree{}}})
}

// start starts the suite on the disk that is mounted.
func (b *blockRun) start(t *testing.T, tree *Tree, c Case) {
	t.Helper()
	s := &station{t: t, host: b.host, sink: b.sink}
	s.host.StartSuite()
	(&recording{station: s}).release()
	s.finish()
	p := sample{recorded{"block replay", &Trace{Base: b.tree}, c}, State{Tree: tree}}
	s.holdLedger(t.Name(), p, c.Acked, nil)
	s.countCopies(t.Name(), p)
}

// mustFail looks at a disk that lacks what was flushed after the first message
// was acknowledged, as one that lies about flushes does: all others are lost
// and must be missed.
func (b *blockRun) mustFail() {
	b.t.Helper()
	b.t.Run("a disk that lies", func(t *testing.T) {
		content := maps.Clone(b.base)
		for _, o := range b.log[:b.acks[0].position] {
			content.write(o.at, o.data)
		}
		_, broken := b.check(t, content, b.acked(len(b.log)), nil)
		b.host.RemoveDisk()
		t.Logf("%d rules broken", len(broken))
		if !slices.ContainsFunc(broken, func(v Violation) bool { return v.Rule == Lost }) {
			t.Errorf("no message is missed: %v", broken)
		}
	})
	b.t.Run("a disk that lies about orders", func(t *testing.T) {
		first := b.obeyed[0].position
		content := maps.Clone(b.base)
		for _, o := range b.log[:first] {
			content.write(o.at, o.data)
		}
		_, broken := b.check(t, content, b.acked(first), b.answered(len(b.log)))
		b.host.RemoveDisk()
		if !slices.ContainsFunc(broken, func(v Violation) bool { return v.Rule == Forgotten }) {
			t.Errorf("no order is missed: %v", broken)
		}
	})
}
