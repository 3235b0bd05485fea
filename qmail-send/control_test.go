package qmailsend

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/control"
	"postrider/internal/fdpass"
	"postrider/internal/queuelock"
	"postrider/internal/wire/entries"
	"postrider/internal/wire/parent"
	"postrider/internal/wire/spawn"
	"postrider/internal/world"
	"postrider/qmail-send/bounce"
)

// routed returns where a recipient goes.
func routed(set settings, recipient string) string {
	channel, rewritten := set.routes.Of(recipient)
	return fmt.Sprint(channel, " ", rewritten)
}

func TestSettings(t *testing.T) {
	t.Parallel()
	set, err := readSettings(newHost(t, nil).control)
	if err != nil {
		t.Fatal(err)
	}
	if set.concurrency != [channels]int{10, 20} || set.lifetimes != (lifetimes{604800 * time.Second, 604800 * time.Second, 604800 * time.Second}) ||
		set.bounce != (bounce.Settings{From: "MAILER-DAEMON", Host: "me.example.org", DoubleTo: "postmaster", DoubleHost: "me.example.org"}) ||
		routed(set, "x") != "remote x@me.example.org" {
		t.Errorf("defaults are %+v, %+v", set, set.routes)
	}

	h := newHost(t, map[string]string{
		"bouncefrom": "b\n", "bouncehost": "bh\n", "doublebounceto": "d\n", "doublebouncehost": "dh\n", "envnoathost": "env\n",
		"concurrencylocal": "30\n", "concurrencyremote": "0\n", "queuelifetime": "99999999999999\n", "locals": "",
		"percenthack": "P.org\n", "virtualdomains": "V.org:a\nv.org:b\n",
	})
	if set, err = readSettings(h.control); err != nil {
		t.Fatal(err)
	}
	if set.concurrency != [channels]int{30, 0} || set.bounce != (bounce.Settings{From: "b", Host: "bh", DoubleTo: "d", DoubleHost: "dh"}) ||
		routed(set, "x%v.org@p.org") != "local b-x@v.org" || routed(set, "x") != "remote x@env" || set.lifetimes.ordinary <= 0 {
		t.Errorf("settings are %+v, %+v", set, set.routes)
	}

	empty := control.Dir(t.TempDir())
	if _, err := readSettings(empty); err == nil {
		t.Error("neither me nor locals is taken")
	}
	if err := os.WriteFile(filepath.Join(string(empty), "me"), []byte("Only.Me\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if set, err = readSettings(empty); err != nil || routed(set, "x") != "local x@Only.Me" {
		t.Errorf("me alone: %v", err)
	}
}

// HUP reads locals and virtualdomains again, both or neither; a recipient that
// waits is routed anew.
func TestReread(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, nil), newManualClock())
	first := r.s.settings.routes
	r.connect()
	loc := connectAgent(t, r.s, local, 0, always(spawn.Success, "ok\n"))
	rem := connectAgent(t, r.s, remote, 0, always(spawn.Deferral, "later\n"))
	m := testMessage{id: id(1), sender: "a@x.org", body: "x\n", recipients: []string{"joe@new.org"}}
	r.spool.accept(m)
	r.log.await(t, "delivery 1: deferral")
	r.untilIdle(t)

	reread := func() {
		r.s.reread(first)
		r.inside(func() {})
	}
	r.host.set(t, "locals", "loc.example.org\nnew.org\n")
	r.host.set(t, "virtualdomains", "bad\x00line:x\n")
	reread()
	r.log.await(t, "warning: "+filepath.Join(string(r.host.control), "virtualdomains")) // what is wrong with it
	r.log.await(t, "alert: unable to reread control/virtualdomains")
	r.inside(func() {
		if routed(r.s.settings, "joe@new.org") != "remote joe@new.org" {
			t.Error("half of the control files was taken")
		}
	})
	r.host.set(t, "virtualdomains", "virt.org:joe\n")
	if err := os.Mkdir(filepath.Join(string(r.host.control), "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	reread()
	r.clock.advance(testStart.Add(401 * time.Second))
	r.untilEmpty(t)
	if fmt.Sprint(loc.recipients(), rem.recipients()) != "[joe@new.org] [joe@new.org]" {
		t.Errorf("local %v, remote %v", loc.recipients(), rem.recipients())
	}
}

// ALRM makes everything due at once.
func TestFlush(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, nil), newManualClock())
	r.connect()
	rem := connectAgent(t, r.s, remote, 0, always(spawn.Deferral, "later\n"))
	for n := range 5 {
		r.spool.accept(testMessage{id: id(n), sender: "a@x.org", body: "x\n", recipients: []string{"joe@rem.org"}})
	}
	for n := range 5 {
		r.log.await(t, fmt.Sprintf("delivery %d: deferral", n+1))
	}
	r.untilIdle(t)
	r.inside(r.s.flush)
	rem.until("second attempts", func() bool { return len(rem.jobs) == 10 })
}

// TERM waits for running deliveries, starts nothing, keeps the due times.
func TestTerminate(t *testing.T) {
	t.Parallel()
	h, clock := newHost(t, map[string]string{"concurrencyremote": "2\n"}), newManualClock()
	r := newRig(t, h, clock)
	r.connect()
	rem := connectAgent(t, r.s, remote, 0, byLocalPart)
	later := testMessage{id: id(9), sender: "a@x.org", body: "x\n", recipients: []string{"z@other.org"}}
	r.spool.accept(later)
	r.log.await(t, "delivery 1: deferral")
	r.untilIdle(t)
	m := testMessage{id: id(1), sender: "a@x.org", body: "x\n", recipients: []string{"n1@rem.org", "n2@rim.org", "n3@rem.org"}}
	r.spool.accept(m)
	rem.untilKept(2)
	r.inside(r.s.flush) // later is now due: not what its progress file says
	r.inside(func() { r.s.terminate(0) })
	r.spool.accept(testMessage{id: id(2), sender: "a@x.org", body: "x\n", recipients: []string{"n@rem.org"}})
	r.inside(func() {})
	rem.answer(1, spawn.Success, "ok\n")
	rem.answer(1, spawn.Deferral, "later\n")
	<-r.s.stopped
	r.log.await(t, "status: local 0/10 remote 0/2 exitasap")
	r.log.await(t, "status: exiting")
	if got := len(rem.recipients()); got != 3 {
		t.Errorf("%d deliveries, want 3", got)
	}
	if p := h.readInfo(t, m); p.Delivered != 1 || p.Failed != 0 {
		t.Errorf("progress is %+v", p)
	}
	info, err := os.Stat(h.layout.Info(later.id))
	if err != nil || info.ModTime().After(clock.Now()) {
		t.Errorf("due %v, %v; want now", info.ModTime(), err)
	}
}

// When the parent goes away, running deliveries have ten seconds.
func TestTerminateWithLimit(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, nil), newManualClock())
	r.connect()
	loc := connectAgent(t, r.s, local, 0, always(0, ""))
	r.spool.accept(testMessage{id: id(1), sender: "a@x.org", body: "x\n", recipients: []string{"a@loc.example.org"}})
	loc.untilKept(1)
	r.inside(func() { r.s.terminate(exitLimit) })
	r.clock.awaitWait(t, testStart.Add(exitLimit))
	r.clock.advance(testStart.Add(exitLimit))
	<-r.s.stopped
}

// Removals are asked for again when the spool was replaced; if they are still
// not confirmed at the end, the progress file says that all is done.
func TestRemovalIsNotForgotten(t *testing.T) {
	t.Parallel()
	h, clock := newHost(t, nil), newManualClock()
	r := newRig(t, h, clock)
	r.connect()
	connectAgent(t, r.s, local, 0, always(spawn.Success, "ok\n"))
	r.spool.set(func() { r.spool.hold = true })
	m := testMessage{id: id(1), sender: "a@x.org", body: "x\n", recipients: []string{"a@loc.example.org", "b@loc.example.org"}}
	r.spool.accept(m)
	r.spool.untilRemoved(m.id)
	r.spool.connect(r.s)
	r.spool.until("a second request", func() bool { return r.spool.removed[m.id] == 2 })
	r.inside(func() { r.s.terminate(0) })
	r.clock.awaitWait(t, testStart.Add(removeLimit))
	r.clock.advance(testStart.Add(removeLimit))
	<-r.s.stopped
	if p := h.readInfo(t, m); p.Delivered != 2 {
		t.Errorf("progress is %+v", p)
	}

	second := newRig(t, h, clock)
	second.connect()
	loc := connectAgent(t, second.s, local, 0, always(spawn.Success, "ok\n"))
	second.spool.untilRemoved(m.id)
	if len(loc.recipients()) != 0 {
		t.Error("delivered twice")
	}
	second.until(t, "the end of the progress file", func() bool { return gone(h.layout.Info(m.id)) })
}

// Without the spool nothing new starts; with the next one all goes on.
func TestSpoolLost(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, nil), newManualClock())
	r.connect()
	loc := connectAgent(t, r.s, local, 0, always(0, ""))
	r.spool.accept(testMessage{id: id(1), sender: "a@x.org", body: "x\n", recipients: []string{"a@loc.example.org"}})
	loc.untilKept(1)
	r.spool.packets.Close()
	r.log.await(t, "warning: lost qmail-spool connection")
	loc.answer(1, spawn.Success, "ok\n")
	m := testMessage{id: id(2), sender: "a@x.org", body: "x\n", recipients: []string{"b@loc.example.org"}}
	r.host.queue(t, m) // accepted, and its announcement lost
	r.log.await(t, "end msg")
	r.spool.connect(r.s)
	loc.untilKept(1)
	r.log.await(t, "new msg "+m.id.String())
	loc.answer(1, spawn.Success, "ok\n")
	r.spool.untilRemoved(m.id)
	r.untilEmpty(t)
}

// A message that is done cannot be removed while the spool is away: that it is
// done must not be known to memory alone (P3).
func TestDoneIsWrittenDownWhileTheSpoolIsAway(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, nil), newManualClock())
	r.connect()
	loc := connectAgent(t, r.s, local, 0, always(0, ""))
	m := testMessage{id: id(1), sender: "a@x.org", body: "x\n", recipients: []string{"a@loc.example.org", "b@loc.example.org"}}
	r.spool.accept(m)
	loc.untilKept(2)
	r.spool.packets.Close()
	r.log.await(t, "warning: lost qmail-spool connection")
	loc.answer(2, spawn.Success, "ok\n")
	r.log.await(t, "end msg")
	for limit := time.Now().Add(patience); ; time.Sleep(time.Millisecond) { // no event tells of a file
		if p := r.host.readInfo(t, m); p.Finished.Has(0) && p.Finished.Has(1) {
			break
		}
		if time.Now().After(limit) {
			t.Fatal("only memory knows that it is done")
		}
	}
	r.spool.connect(r.s)
	r.spool.untilRemoved(m.id)
	r.untilEmpty(t)
}

// The whole program but for its first line: lock, links, drain.
func TestServe(t *testing.T) {
	h := newHost(t, nil)
	if err := os.WriteFile(h.layout.SendLock(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tail, log := newLogTail(t)
	clock := newManualClock()
	w := world.World{Home: filepath.Dir(h.layout.Root), Clock: clock}
	start := func() (*parent.Channel, chan int) {
		ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
		if err != nil {
			t.Fatal(err)
		}
		channel, err := parent.NewChannel(theirs)
		if err != nil {
			t.Fatal(err)
		}
		up, err := parent.NewChannel(ours)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan int, 1)
		go func() { done <- serve(w, log, channel) }()
		return up, done
	}
	up, done := start()
	tail.await(t, "status: local 0/10 remote 0/20")
	_, second := start()
	clock.awaitWait(t, clock.Now().Add(time.Second))
	clock.advance(clock.Now().Add(time.Second))
	tail.await(t, "warning: another qmail-send has not left this queue yet; waiting for up to 30s")
	clock.awaitWait(t, clock.Now().Add(queuelock.Patience-time.Second))
	clock.advance(clock.Now().Add(queuelock.Patience - time.Second))
	if code := <-second; code != exitTrouble {
		t.Errorf("a second qmail-send exits %d", code)
	}
	tail.await(t, "alert: cannot start: qmail-send is already running")

	m := testMessage{id: id(1), sender: "a@x.org", body: "x\n", recipients: []string{"a@loc.example.org"}}
	h.queue(t, m)
	links := map[string]*fdpass.Packets{}
	for _, name := range []string{parent.Entries, parent.Submit, parent.SpawnLocal, parent.SpawnRemote(0), "nonsense"} {
		ours, theirs := pair(t)
		packets, err := fdpass.NewPackets(ours)
		if err != nil {
			t.Fatal(err)
		}
		defer packets.Close()
		links[name] = packets
		if sent, err := up.Send(parent.Frame{Kind: parent.Link, Name: name, File: theirs}); !sent || err != nil {
			t.Fatal(sent, err)
		}
		theirs.Close()
	}
	tail.await(t, "alert: link nonsense from the parent: unknown link")
	buf := make([]byte, fdpass.MaxPacket)
	if n, _, err := links[parent.Entries].Receive(buf, 0); err != nil || buf[0] != byte(entries.Query) {
		t.Fatalf("%q, %v", buf[:n], err)
	}
	if err := links[parent.Entries].Send(entries.Append(nil, entries.Message{Kind: entries.Committed, ID: m.id})); err != nil {
		t.Fatal(err)
	}
	if n, files, err := links[parent.SpawnLocal].Receive(buf, 1); err != nil || n == 0 || len(files) != 0 {
		t.Fatalf("%d bytes, %d files, %v", n, len(files), err)
	}
	if err := links[parent.SpawnLocal].Send(spawn.AppendResults(nil, []spawn.Result{{Delivery: 1, Class: spawn.Deferral}})); err != nil {
		t.Fatal(err)
	}
	tail.await(t, "delivery 1: deferral: ")
	up.Close()
	if code := <-done; code != exitOK {
		t.Errorf("exit %d", code)
	}
	tail.await(t, "status: exiting")
}

func TestCannotStart(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, want string
		spoil      func(h host) error
	}{
		{"controls", "unable to read controls", func(h host) error { return os.RemoveAll(string(h.control)) }},
		{"mutex", "unable to open mutex", func(h host) error { return os.RemoveAll(h.layout.Root + "/lock") }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, nil)
			if err := tc.spoil(h); err != nil {
				t.Fatal(err)
			}
			tail, log := newLogTail(t)
			code := serve(world.World{Home: filepath.Dir(h.layout.Root), Clock: newManualClock()}, log, nil)
			if code != exitTrouble {
				t.Errorf("exit %d", code)
			}
			tail.await(t, "alert: cannot start: "+tc.want)
		})
	}
}

func TestRemoteNumber(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{"spawn.remote.0": 0, "spawn.remote.12": 12, "spawn.remote.": -1, "spawn.remote.01": -1, "spawn.remote.-1": -1, "spawn.remote.9999999": -1, "spawn.local": -1} {
		n, ok := remoteNumber(name)
		if ok != (want >= 0) || ok && n != want {
			t.Errorf("%s is %d, %v", name, n, ok)
		}
	}
}
