package qmailsend

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"postrider/internal/queuedir"
	"postrider/internal/wire/spawn"
)

// From announcement to removal, with every log line in its order.
func TestLocalDelivery(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, nil), newManualClock())
	r.connect()
	ag := connectAgent(t, r.s, local, 0, always(spawn.Success, "did 1+0+0\n"))
	m := testMessage{id: id(1), sender: "a b@x.org", recipients: []string{"joe@loc.example.org"}, body: "Received: x\n\nhello\n"}
	r.spool.accept(m)
	r.spool.untilRemoved(m.id)
	r.untilEmpty(t)

	want := fmt.Sprintf(`new msg %[1]s
info msg %[1]s: bytes %[2]d from <a_b@x.org> qp %[1]s uid 1000
starting delivery 1: msg %[1]s to local joe@loc.example.org
delivery 1: success: did_1+0+0/
end msg %[1]s`, m.id, len(m.body))
	r.log.await(t, "end msg")
	if got := strings.Join(r.log.all(), "\n"); got != want {
		t.Errorf("log is\n%s\nwant\n%s", got, want)
	}
	wantStatus := []string{"status: local 0/10 remote 0/20", "status: local 1/10 remote 0/20", "status: local 0/10 remote 0/20"}
	if got := r.log.status(); !slices.Equal(got, wantStatus) {
		t.Errorf("status lines are %q, want %q", got, wantStatus)
	}
	if ag.seen().bodies[0] != m.body || ag.seen().slots != 10 || !gone(r.host.layout.Info(m.id)) {
		t.Errorf("body %q, slots %d, info gone: %v", ag.seen().bodies[0], ag.seen().slots, gone(r.host.layout.Info(m.id)))
	}
}

// A message for both channels is tried at exactly qmail's times, and its
// progress file shows the next one (spec 2.5).
func TestRetryTimes(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, nil), newManualClock())
	r.connect()
	loc := connectAgent(t, r.s, local, 0, always(spawn.Deferral, "later\n"))
	rem := connectAgent(t, r.s, remote, 0, always(spawn.Deferral, "later\n"))
	m := testMessage{id: id(1), sender: "a@x.org", recipients: []string{"joe@loc.example.org", "bob@rem.org"}, body: "x\n"}
	birth := m.id.Time()
	r.clock.advance(birth)
	r.spool.accept(m)
	want := [channels]int{1, 1}
	for k := 1; k <= 8; k++ {
		next := birth.Add(time.Duration(100*k*k) * time.Second)
		r.clock.awaitWait(t, next)
		r.untilIdle(t)
		if got := [channels]int{len(loc.recipients()), len(rem.recipients())}; got != want {
			t.Fatalf("before age %d: %v attempts, want %v; log:\n%s", 100*k*k, got, want, strings.Join(r.log.all(), "\n"))
		}
		info, err := os.Stat(r.host.layout.Info(m.id))
		if err != nil || !info.ModTime().Equal(next) {
			t.Fatalf("the progress file shows %v (%v), want %v", info.ModTime(), err, next)
		}
		r.clock.advance(next)
		want[local]++
		if k%2 == 0 {
			want[remote]++
		}
	}
	if n := r.log.count("new msg"); n != 1 {
		t.Errorf("the message was announced %d times", n)
	}
}

func TestConcurrencyLimits(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, map[string]string{"concurrencyremote": "3\n", "concurrencylocal": "2\n"}), newManualClock())
	r.connect()
	loc := connectAgent(t, r.s, local, 0, always(0, ""))
	rem := connectAgent(t, r.s, remote, 0, always(0, ""))
	for n := range 20 {
		r.spool.accept(testMessage{id: id(n), sender: "a@x.org", body: "x\n", recipients: []string{fmt.Sprintf("joe@h%d.org", n)}})
	}
	many := testMessage{id: id(50), sender: "a@x.org", body: "x\n"}
	for n := range minLocalLimit + 50 {
		many.recipients = append(many.recipients, fmt.Sprintf("u%d@loc.example.org", n))
	}
	r.spool.accept(many)
	const most = minLocalLimit - minLocalLimit/16 // the rest is for other senders
	rem.untilKept(3)
	loc.untilKept(most)
	for range 17 {
		rem.answer(1, spawn.Success, "ok\n")
		rem.untilKept(3)
	}
	rem.answer(3, spawn.Success, "ok\n")
	for range minLocalLimit + 50 - most {
		loc.answer(1, spawn.Success, "ok\n")
		loc.untilKept(most)
	}
	loc.answer(most, spawn.Success, "ok\n")
	r.untilEmpty(t)
	if rem.seen().most != 3 || loc.seen().most != most || loc.seen().slots != 2 {
		t.Errorf("at most %d remote and %d local at a time, %d slots", rem.seen().most, loc.seen().most, loc.seen().slots)
	}
}

func TestConcurrencyZeroHolds(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, map[string]string{"concurrencylocal": "0\n"}), newManualClock())
	r.connect()
	loc := connectAgent(t, r.s, local, 0, always(spawn.Success, "ok\n"))
	rem := connectAgent(t, r.s, remote, 0, always(spawn.Success, "ok\n"))
	m := testMessage{id: id(1), sender: "a@x.org", body: "x\n", recipients: []string{"joe@loc.example.org", "bob@rem.org"}}
	r.spool.accept(m)
	rem.until("the remote delivery", func() bool { return len(rem.jobs) == 1 })
	r.log.await(t, "delivery 1: success")
	r.clock.advance(testStart.Add(time.Hour))
	r.inside(func() {})
	if got := loc.recipients(); len(got) != 0 {
		t.Errorf("held channel delivered to %v", got)
	}
}

// New mail does not wait for retries: it gets the slots that they may not
// have, and its turn comes before theirs.
func TestFirstAttemptsBeforeRetries(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, map[string]string{"concurrencyremote": "8\n"}), newManualClock())
	r.connect()
	rem := connectAgent(t, r.s, remote, 0, func(j spawn.Job, _ spawn.Recipient) (spawn.Class, string) {
		if r.clock.Now().Before(testStart.Add(time.Second)) {
			return spawn.Deferral, "greylisted\n"
		}
		return 0, ""
	})
	for n := range 30 {
		r.spool.accept(testMessage{id: id(n), sender: "a@x.org", body: "x\n", recipients: []string{fmt.Sprintf("old@h%d.org", n)}})
	}
	for n := range 30 {
		r.log.await(t, fmt.Sprintf("delivery %d: deferral", n+1))
	}
	r.clock.advance(testStart.Add(401 * time.Second))
	rem.untilKept(6) // three quarters
	for n := range 10 {
		r.spool.accept(testMessage{id: id(50 + n), sender: "a@x.org", body: "x\n", recipients: []string{fmt.Sprintf("new@n%d.org", n)}})
	}
	rem.untilKept(8)
	got := rem.recipients()[30:]
	for i, to := range got {
		if want := map[bool]string{true: "old@", false: "new@"}[i < 6]; !strings.HasPrefix(to, want) {
			t.Errorf("delivery %d goes to %s, want %s...", i, to, want)
		}
	}
	r.until(t, "all new mail to be read", func() bool { return r.s.ways[remote].ready[firsts].Len() == 8 })
	rem.answer(2, spawn.Success, "ok\n") // two retries end: new mail has its turn
	rem.untilKept(8)
	for _, to := range rem.recipients()[38:] {
		if !strings.HasPrefix(to, "new@") {
			t.Errorf("%s before the new mail", to)
		}
	}
}

// Retries go on while new mail never ends.
func TestRetriesAreNotStarved(t *testing.T) {
	t.Parallel()
	w := newWay(remote, 8)
	for range 20 {
		w.ready[firsts].push(&pass{})
		w.ready[retries].push(&pass{})
	}
	if k, n := w.choose(); k != firsts || n != 7 {
		t.Errorf("%d of class %d may start, want 7 first attempts", n, k)
	}
	w.inFlight, w.busy[firsts] = 7, 7
	if k, n := w.choose(); k != retries || n != 1 {
		t.Errorf("%d of class %d may start, want one retry", n, k)
	}
	w.inFlight, w.busy[firsts], w.busy[retries] = 7, 6, 1
	if k, n := w.choose(); k != firsts || n != 1 {
		t.Errorf("%d of class %d may start, want one first attempt", n, k)
	}
}

func TestRecipientsOfADomainTravelTogether(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, nil), newManualClock())
	r.connect()
	var agents []*testAgent
	for n := range 3 {
		agents = append(agents, connectAgent(t, r.s, remote, n, always(spawn.Success, "ok\n")))
	}
	m := testMessage{id: id(1), sender: "a@x.org", body: "x\n", recipients: []string{
		"1@a.org", "1@b.org", "2@A.org", "3@a.org", "2@b.org", "1@c.org"}}
	r.spool.accept(m)
	r.untilEmpty(t)
	got := map[string][]string{}
	for _, ag := range agents {
		for _, j := range ag.seen().jobs {
			for _, rc := range j.Recipients {
				got[j.Host] = append(got[j.Host], rc.Address.String())
			}
		}
	}
	want := map[string][]string{"a.org": {"1@a.org", "2@A.org", "3@a.org"}, "b.org": {"1@b.org", "2@b.org"}, "c.org": {"1@c.org"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("jobs are %v, want %v", got, want)
	}

	// A destination stays with its worker.
	where := func(host string) (at int) {
		for i, ag := range agents {
			for _, j := range ag.seen().jobs {
				if j.Host == host {
					at = i
				}
			}
		}
		return at
	}
	first := where("a.org")
	r.spool.accept(testMessage{id: id(2), sender: "a@x.org", body: "x\n", recipients: []string{"9@a.org"}})
	r.untilEmpty(t)
	if n := len(agents[first].recipients()); where("a.org") != first || n < 4 {
		t.Errorf("the destination moved")
	}
}

// The envelope of spec Appendix A.1, from queue to agents.
func TestVERPEnvelope(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, map[string]string{
		"virtualdomains": "virt.example.org:joe-v\nuser@v2.example.org:jim\n.sub.example.org:sub\nx.sub.example.org:\n",
		"percenthack":    "pct.example.org\n",
	}), newManualClock())
	r.connect()
	loc := connectAgent(t, r.s, local, 0, always(spawn.Success, "ok\n"))
	rem := connectAgent(t, r.s, remote, 0, always(spawn.Success, "ok\n"))
	m := testMessage{id: id(1), sender: "list-@h.org-@[]", body: "x\n", recipients: []string{
		"a@loc.example.org", "info@virt.example.org", "USER@V2.example.org", "o@v2.example.org",
		"q@x.sub.example.org", "q@y.sub.example.org", "a%rem.org@pct.example.org", "noat", "b@rem.org"}}
	r.spool.accept(m)
	r.untilEmpty(t)
	show := func(ag *testAgent) (all []string) {
		for _, j := range ag.seen().jobs {
			if len(j.Recipients) != 1 {
				t.Errorf("%d recipients in a job with an expanded sender", len(j.Recipients))
			}
			all = append(all, j.Sender.String()+" "+j.Recipients[0].Address.String())
		}
		return all
	}
	if got, want := show(loc), []string{
		"list-a=loc.example.org@h.org a@loc.example.org",
		"list-joe-v-info=virt.example.org@h.org joe-v-info@virt.example.org",
		"list-jim-USER=V2.example.org@h.org jim-USER@V2.example.org",
		"list-sub-q=y.sub.example.org@h.org sub-q@y.sub.example.org",
	}; !slices.Equal(got, want) {
		t.Errorf("local jobs are %q, want %q", got, want)
	}
	if got, want := show(rem), []string{
		"list-o=v2.example.org@h.org o@v2.example.org",
		"list-q=x.sub.example.org@h.org q@x.sub.example.org",
		"list-a=rem.org@h.org a@rem.org",
		"list-noat=me.example.org@h.org noat@me.example.org",
		"list-b=rem.org@h.org b@rem.org",
	}; !slices.Equal(got, want) {
		t.Errorf("remote jobs are %q, want %q", got, want)
	}
	if line := r.log.all()[1]; !strings.Contains(line, "from <list-@h.org-@[]> ") {
		t.Errorf("the log shows another sender: %s", line)
	}
}

// Many recipients are given out in windows; progress is written on the way
// (R66).
func TestManyRecipients(t *testing.T) {
	t.Parallel()
	const n = 20_000
	r := newRig(t, newHost(t, nil), newManualClock())
	r.connect()
	loc := connectAgent(t, r.s, local, 0, always(spawn.Success, "ok\n"))
	rem := connectAgent(t, r.s, remote, 0, always(spawn.Success, "ok\n"))
	m := testMessage{id: id(1), sender: "a@x.org", body: strings.Repeat("large body\n", 6_000)}
	for i := range n {
		m.recipients = append(m.recipients, fmt.Sprintf("u%d@%s", i, []string{"loc.example.org", "rem.org", "other.org"}[i%3]))
	}
	r.spool.accept(m)
	r.untilEmpty(t)
	seen := map[string]int{}
	for _, to := range append(loc.recipients(), rem.recipients()...) {
		seen[to]++
	}
	for _, to := range m.recipients {
		if seen[to] != 1 {
			t.Fatalf("%s was given out %d times", to, seen[to])
		}
	}
	if loc.seen().bodies[0] != m.body || rem.seen().bodies[len(rem.seen().bodies)-1] != m.body {
		t.Error("a body is not the message's")
	}
	if len(rem.seen().jobs) > 3*(n/3*2/10) {
		t.Errorf("%d remote jobs for %d recipients at two domains", len(rem.seen().jobs), n/3*2)
	}
}

// Messages around the size up to which they go in the packet, from entries that
// are kept in memory and others, many of them in one packet.
func TestMessagesOfAllSizes(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, nil), newManualClock())
	r.connect()
	loc := connectAgent(t, r.s, local, 0, always(spawn.Success, "ok\n"))
	want := make(map[string]string)
	for i, size := range []int{0, 1, spawn.MaxInline - 1, spawn.MaxInline, spawn.MaxInline + 1, 20 << 10, queuedir.MaxInlineBody, queuedir.MaxInlineBody + 1, 300_000} {
		for j, outside := range []bool{false, true} {
			body := strings.Repeat(string(rune('a'+i)), size)
			n := 2*i + j
			to := fmt.Sprintf("u%d@loc.example.org", n)
			want[to] = body
			r.spool.accept(testMessage{id: id(n), sender: "a@x.org", body: body, recipients: []string{to}, outside: outside})
		}
	}
	r.untilEmpty(t)
	seen := loc.seen()
	for i, j := range seen.jobs {
		to := j.Recipients[0].Address.String()
		if seen.bodies[i] != want[to] {
			t.Errorf("%s got %d bytes, want %d", to, len(seen.bodies[i]), len(want[to]))
		}
		if inPacket := !j.Message.ByFile; inPacket && len(want[to]) > spawn.MaxInline {
			t.Errorf("%s: %d bytes in the packet", to, len(want[to]))
		}
		delete(want, to)
	}
	if len(want) != 0 {
		t.Errorf("%d messages were not delivered; log:\n%s", len(want), strings.Join(r.log.all(), "\n"))
	}
}

func TestRefusedRecipients(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, map[string]string{
		"virtualdomains": "virt.org:" + strings.Repeat("p", 100) + "\n", "percenthack": "pct.org\n",
	}), newManualClock())
	r.connect()
	connectAgent(t, r.s, local, 0, always(spawn.Success, "ok\n"))
	connectAgent(t, r.s, remote, 0, always(spawn.Success, "ok\n"))
	m := testMessage{id: id(1), sender: "a@x.org", body: "x\n", recipients: []string{
		strings.Repeat("u", 990) + "@virt.org", "nobody%@pct.org", "fine@loc.example.org"}}
	r.spool.accept(m)
	r.untilEmpty(t)
	if n := r.log.count("delivery"); n != 3 {
		t.Errorf("%d results, want 3", n)
	}
	if body := r.spool.seen().bounces[0].body; !strings.Contains(body, "address is too long. (#5.1.3)") || !strings.Contains(body, "must include host name. (#5.1.3)") {
		t.Errorf("bounce is\n%s", body)
	}
}

// A control file with CR LF costs a delay, not the mail.
func TestControlByteOfAControlFile(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, map[string]string{"virtualdomains": "virt.org:joe\r\n"}), newManualClock())
	first := r.s.settings.routes
	r.connect()
	loc := connectAgent(t, r.s, local, 0, always(spawn.Success, "ok\n"))
	r.spool.accept(testMessage{id: id(1), sender: "a@x.org", body: "x\n", recipients: []string{"info@virt.org"}})
	r.log.await(t, "delivery 1: deferral: Sorry,_a_control_file_of_this_host_")
	r.untilIdle(t)
	r.host.set(t, "virtualdomains", "virt.org:joe\n")
	r.s.reread(first)
	r.inside(func() {})
	r.clock.advance(testStart.Add(101 * time.Second))
	r.untilEmpty(t)
	if got := fmt.Sprint(loc.recipients()); got != "[joe-info@virt.org]" || len(r.spool.seen().bounces) != 0 {
		t.Errorf("deliveries to %s, %d bounces", got, len(r.spool.seen().bounces))
	}
}

// A message with no recipient is removed.
func TestNoRecipients(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, nil), newManualClock())
	r.connect()
	connectAgent(t, r.s, local, 0, always(spawn.Success, "ok\n"))
	r.spool.accept(testMessage{id: id(1), sender: "a@x.org", body: "x\n"})
	r.untilEmpty(t)
	r.log.await(t, "end msg")
}

// Deliveries of an agent that goes away are deferred, and tried again soon by
// its successor; not if that dies of them too.
func TestAgentLost(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, map[string]string{"queuelifetime": "0\n"}), newManualClock())
	r.connect()
	first := connectAgent(t, r.s, local, 0, always(0, ""))
	r.clock.advance(testStart.Add(10 * time.Second)) // too old, but nobody tried
	m := testMessage{id: id(1), sender: "a@x.org", body: "x\n", recipients: []string{"joe@loc.example.org"}}
	r.spool.accept(m)
	first.untilKept(1)
	second := connectAgent(t, r.s, local, 0, always(0, "")) // replaces it
	r.log.await(t, "warning: lost spawn.local connection; its deliveries are deferred")
	r.log.await(t, "delivery 1: deferral: Sorry,_the_delivery_program_went_away_before_it_was_done._(#4.3.0)/")
	soon := testStart.Add(15 * time.Second)
	r.clock.awaitWait(t, soon)
	r.clock.advance(soon)
	second.untilKept(1)
	second.packets.Close()
	r.log.await(t, "delivery 2: deferral")
	later := m.id.Time().Add(169 * time.Second) // (isqrt(14) + 10)²
	connectAgent(t, r.s, local, 0, always(spawn.Success, "ok\n"))
	r.clock.awaitWait(t, later)
	r.clock.advance(later)
	r.spool.untilRemoved(m.id)
}

// A result for a delivery that was not given out drops the agent.
func TestAgentLies(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, nil), newManualClock())
	r.connect()
	loc := connectAgent(t, r.s, local, 0, always(0, ""))
	rem := connectAgent(t, r.s, remote, 0, always(0, ""))
	r.spool.accept(testMessage{id: id(1), sender: "a@x.org", body: "x\n", recipients: []string{"joe@loc.example.org"}})
	loc.untilKept(1)
	if err := rem.packets.Send(spawn.AppendResults(nil, []spawn.Result{{Delivery: 1, Class: spawn.Success}})); err != nil {
		t.Fatal(err)
	}
	r.log.await(t, "warning: internal error: delivery report out of range")
	r.log.await(t, "warning: lost spawn.remote.0 connection")
	loc.answer(1, spawn.Success, "ok\n")
	r.untilEmpty(t)
}

// TestResultsOfADamagedMessage: what is known of a message is on disk when that
// is set aside.
func TestResultsOfADamagedMessage(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, nil), newManualClock())
	loc, rem := connectAgent(t, r.s, local, 0, always(0, "")), connectAgent(t, r.s, remote, 0, always(0, ""))
	r.connect()
	m := testMessage{id: id(1), sender: "a@x.org", body: "x\n", recipients: []string{"joe@loc.example.org", "k@rem.org"}}
	r.spool.accept(m)
	loc.untilKept(1)
	rem.untilKept(1)
	loc.answer(1, spawn.Success, "ok\n")
	r.until(t, "a result", func() bool {
		for a := range r.s.actives {
			if a.progress.Len() == 1 {
				a.damaged = queuedir.ErrTorn
				return true
			}
		}
		return false
	})
	rem.answer(1, spawn.Deferral, "not now\n")
	r.untilEmpty(t)
	r.until(t, "nothing under way", func() bool { return r.s.atWork == 0 })
	aside, err := os.Open(r.host.layout.Info(m.id) + ".bad")
	if err != nil {
		t.Fatal(err)
	}
	defer aside.Close()
	if p, err := queuedir.ReadProgress(aside, 2); err != nil || p.Delivered != 1 || len(r.spool.seen().bad) != 1 {
		t.Errorf("progress is %+v, %v, set aside %v", p, err, r.spool.seen().bad)
	}
}

// A damaged entry is set aside with one line, and others go on (R16, R17).
func TestDamagedEntries(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, nil), newManualClock())
	loc := connectAgent(t, r.s, local, 0, always(spawn.Success, "ok\n"))
	damage := func(n int, name func(queuedir.ID) string, at int64) {
		m := testMessage{id: id(n), sender: "a@x.org", body: "some body\n", recipients: []string{"joe@loc.example.org"}}
		if n == 3 {
			m.body = strings.Repeat("x", 100_000)
		}
		r.host.queue(t, m)
		f, err := os.OpenFile(name(m.id), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt([]byte{'#'}, at); err != nil {
			t.Fatal(err)
		}
	}
	// A large body that may have been on disk: it was not announced just now.
	damage(3, r.host.layout.Body, 5_000)
	r.spool.set(func() { r.spool.announced++ })
	r.connect()
	r.spool.until("the large message", func() bool { return len(r.spool.bad) == 1 })
	damage(1, r.host.layout.Entry, 3)  // inline body: found when it is handed out
	damage(2, r.host.layout.Entry, 12) // envelope
	for _, n := range []int{1, 2} {
		r.spool.announce(testMessage{id: id(n), sender: "a@x.org", body: "some body\n", recipients: []string{"joe@loc.example.org"}})
	}
	good := testMessage{id: id(4), sender: "a@x.org", body: "x\n", recipients: []string{"joe@loc.example.org"}}
	r.spool.accept(good)
	r.untilEmpty(t)
	if got := loc.recipients(); len(got) != 1 || len(r.spool.seen().bad) != 3 || r.log.count("alert: message ") != 3 {
		t.Errorf("%d deliveries, %d set aside, log\n%s", len(got), len(r.spool.seen().bad), strings.Join(r.log.all(), "\n"))
	}
	if r.spool.seen().removed[good.id] != 1 {
		t.Error("the good message was not finished")
	}
}
