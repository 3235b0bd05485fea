package qmailsend

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postrider/internal/wire/manage"
	"postrider/internal/wire/spawn"
)

// TestPoison has a message that ends whoever delivers it, among others that do
// not. It is held after a few times; the others get through.
func TestPoison(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, nil), newManualClock())
	r.connect()
	const others = 40
	var ids []testMessage
	for i := range others + 1 {
		to := fmt.Sprintf("w%d@far%d.example.org", i, i)
		if i == 7 {
			to = "poison@far.example.org"
		}
		ids = append(ids, testMessage{id: id(i), sender: "s@x.org", body: "hello", recipients: []string{to}})
	}
	poison := ids[7]
	r.clock.advance(ids[others].id.Time())
	// The first worker has everything in hand when it ends.
	w := connectAgent(t, r.s, remote, 0, always(0, ""))
	for _, m := range ids {
		r.spool.accept(m)
	}
	w.untilKept(19) // concurrencyremote, but for what is left to other senders
	w.packets.Close()
	r.log.await(t, "warning: lost spawn.remote.0 connection")
	// Whoever is given the poison ends before it has answered anybody.
	var died *atomic.Bool
	for range 200 {
		if died == nil || died.Load() {
			died = connectMortal(t, r)
		}
		r.clock.advance(r.clock.Now().Add(10 * time.Minute))
		r.until(t, "the end of the worker, or of its work", func() bool {
			if died.Load() {
				return !r.s.agents.Any(remote)
			}
			return r.s.idle()
		})
		if r.phase(poison.id) == manage.HeldBack {
			break
		}
	}
	r.log.await(t, "alert: message "+poison.id.String()+" is held: its deliveries have ended 4 times")
	connectAgent(t, r.s, remote, 0, always(spawn.Success, "ok\n"))
	for range 20 {
		r.clock.advance(r.clock.Now().Add(time.Hour))
		r.untilIdle(t)
	}
	r.until(t, "the others to be gone", func() bool { return len(r.s.messages) == 1 && r.s.messages[poison.id] != nil })
	if p := r.host.readInfo(t, poison); !p.Held {
		t.Error("it is not on disk that the poison is held")
	}
	if n := r.log.count("alert: message "); n != 1 {
		t.Errorf("%d messages were held:\n%s", n, strings.Join(r.log.all(), "\n"))
	}
}

// connectMortal connects a worker that ends when it is given the poison.
func connectMortal(t *testing.T, r *rig) (died *atomic.Bool) {
	died = &atomic.Bool{}
	ready := make(chan struct{})
	var ag *testAgent
	ag = connectAgent(t, r.s, remote, 0, func(_ spawn.Job, to spawn.Recipient) (spawn.Class, string) {
		if to.Address.String() == "poison@far.example.org" {
			<-ready
			died.Store(true)
			ag.packets.Close()
			return 0, ""
		}
		return spawn.Success, "ok\n"
	})
	close(ready)
	return died
}
