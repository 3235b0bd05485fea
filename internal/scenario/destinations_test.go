package scenario

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postrider/internal/testhost"
)

// sendMany hands in n messages by one SMTP session, for to(0), to(1) and so on.
func sendMany(t *testing.T, h *testhost.Host, n int, to func(int) string) {
	t.Helper()
	c, err := h.SMTP(testhost.Within(t, soon), "127.0.0.1:25")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i := range n {
		if err := c.Send("alice@mx1.example", []string{to(i)}, letter(to(i), fmt.Sprint("n", i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Quit(); err != nil {
		t.Fatal(err)
	}
}

func always(to string) func(int) string { return func(int) string { return to } }

// relays is a host that takes mail of its own programs for everybody.
func relays(t *testing.T, net *testhost.Network) *testhost.Host {
	t.Helper()
	h := mailHost(t, net, "mx1.example", "alice")
	h.Control("tcp.smtp", `127.0.0.1:allow,RELAYCLIENT=""`)
	return h
}

// shownDestinations is what qmail-queuectl says of them.
func shownDestinations(t *testing.T, h *testhost.Host) map[string]map[string]any {
	t.Helper()
	all := make(map[string]map[string]any)
	for line := range strings.Lines(queuectl(h, "root", "destinations", "--all", "--json")) {
		var d map[string]any
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all[d["name"].(string)] = d
	}
	return all
}

// atOnce is a peer that takes its time, and counts the messages that it has under
// way.
type atOnce struct{ now, most atomic.Int32 }

func (p *atOnce) script(verb, _ string) string {
	switch verb {
	case "MAIL":
		n := p.now.Add(1)
		for most := p.most.Load(); n > most && !p.most.CompareAndSwap(most, n); most = p.most.Load() {
		}
	case "data":
		time.Sleep(20 * time.Millisecond) // it is slow, nobody waits for it
		p.now.Add(-1)
	}
	return testhost.Default
}

// TestLimitsOfDestinations keeps a limit of connections for two domains of one
// host together, and a rate.
func TestLimitsOfDestinations(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	h := relays(t, net)
	h.Control("destinations", "mx:mx.far.example connections=2", "paced.example rate=5/s")
	var peer atOnce
	far := net.Host("mx.far.example").Sink(":25", peer.script)
	paced := net.Host("paced.example").Sink(":25", nil)
	net.Zone().MX("a.example", 10, "mx.far.example")
	net.Zone().MX("b.example", 20, "mx.far.example")
	h.StartSuite()
	sendMany(t, h, 60, func(i int) string { return fmt.Sprintf("u@%c.example", 'a'+i%2) })
	sendMany(t, h, 12, always("u@paced.example"))
	far.Wait(testhost.Within(t, soon), 60)
	// The first message of each domain shows where that goes.
	if most := peer.most.Load(); most > 3 {
		t.Errorf("%d messages at a time, at most 2 may be", most)
	}
	got := paced.Wait(testhost.Within(t, soon), 12)
	if took := got[11].When.Sub(got[0].When); took < 2100*time.Millisecond {
		t.Errorf("12 messages took %v, 5 a second are allowed", took)
	}
	waitEmpty(t, h)
	all := shownDestinations(t, h)
	if d := all["mx:mx.far.example"]; d == nil || d["domains"] != 2.0 || d["connections"] != 2.0 || d["state"] != "well" {
		t.Errorf("it is shown as %v of %v", d, all)
	}
	if d := all["paced.example"]; d == nil || d["rate"] != "5/s" {
		t.Errorf("it is shown as %v of %v", d, all)
	}

	// HUP has other limits count.
	peer.most.Store(0)
	h.Control("destinations", "* connections=1")
	first := h.Log().Len()
	h.MustRun(testhost.Command{Argv: []string{"sh", "-c", "kill -HUP $(pidof qmail-send)"}})
	barrier(t, h, "alice")
	sendMany(t, h, 20, always("u@a.example"))
	far.Wait(testhost.Within(t, soon), 80)
	if most := peer.most.Load(); most != 1 {
		t.Errorf("%d messages at a time after HUP\n%s", most, h.Log().Timed(first))
	}
	if out := refusedQueuectl(t, h, "alice", "destinations"); !strings.Contains(out, "only root may see that") {
		t.Errorf("alice sees %s", out)
	}
	h.StopSuite()
}

// TestThrottlingDestination has a host that refuses what is over 20 messages a
// period: it has few refusals, what waits keeps its attempts, and all arrives.
func TestThrottlingDestination(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	h := relays(t, net)
	h.InstallMovedClock()
	var left, refused atomic.Int32
	left.Store(20)
	far := net.Host("far.example").Sink(":25", func(verb, _ string) string {
		if verb == "MAIL" && left.Add(-1) < 0 {
			refused.Add(1)
			return "421 4.7.0 too many messages from you"
		}
		return testhost.Default
	})
	h.StartSuite()
	first := h.Log().Len()
	const n = 60
	sendMany(t, h, n, always("u@far.example"))
	h.WaitForLog(first, `^destination far\.example: slowed, .*421_4\.7\.0_too_many_messages`)
	if d := shownDestinations(t, h)["far.example"]; d["state"] != "slowed" || d["next"] == nil || d["waiting"].(float64) < 20 ||
		!strings.Contains(d["reason"].(string), "too many messages") {
		t.Errorf("it is shown as %v", d)
	}
	moved := time.Duration(0)
	for i := 0; i < 300 && len(far.Accepted()) < n; i++ {
		if moved += 10 * time.Second; i%4 == 3 {
			left.Store(20)
		}
		h.MoveClock(moved)
		barrier(t, h, "alice")
	}
	far.Wait(testhost.Within(t, soon), n)
	waitEmpty(t, h)
	starts := count(h, first, "to remote u@far.example")
	t.Logf("%d refusals, %d attempts for %d messages", refused.Load(), starts, n)
	if refused.Load() > 20 || starts > n+20 {
		t.Errorf("%d refusals, %d attempts for %d messages", refused.Load(), starts, n)
	}
	h.StopSuite()
}

// TestDeadDestination has 200 messages for a host where nobody listens: one of
// them asks, others go at full speed, and when somebody listens all of them go.
func TestDeadDestination(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	h := relays(t, net)
	h.InstallMovedClock()
	closed := net.Host("closed.example")
	net.Zone().MX("dead.example", 10, "closed.example")
	far := net.Host("far.example").Sink(":25", nil)
	h.StartSuite()
	first := h.Log().Len()
	const n = 200
	sendMany(t, h, n, func(i int) string { return fmt.Sprintf("u%d@%s.example", i, []string{"dead", "closed"}[i%2]) })
	h.WaitForLog(first, `^destination closed\.example: down, `)
	sendMany(t, h, 50, always("u@far.example"))
	far.Wait(testhost.Within(t, soon), 50)
	barrier(t, h, "alice")
	starts := func() int {
		return count(h, first, "@dead.example") + count(h, first, "@closed.example")
	}
	if got := starts(); got > 4 {
		t.Errorf("%d attempts while it is down\n%s", got, h.Log().Timed(first))
	}
	d := shownDestinations(t, h)["closed.example"]
	if d["state"] != "down" || d["waiting"].(float64) < n-4 || d["next"] == nil || !strings.Contains(d["reason"].(string), "wasn't able to establish") {
		t.Errorf("it is shown as %v", d)
	}
	if out := queuectl(h, "root", "destinations"); !strings.Contains(out, "next probe") || !strings.Contains(out, "closed.example") {
		t.Errorf("got %s", out)
	}
	moved := 61 * time.Second
	second := h.Log().Len()
	h.MoveClock(moved) // a probe, in vain
	h.WaitForLog(second, `^delivery \d+: deferral: Sorry,_I_wasn't_able`)
	sink := closed.Sink(":25", nil)
	for i := 0; i < 20 && len(sink.Accepted()) == 0; i++ {
		moved += 2 * time.Minute
		h.MoveClock(moved)
		barrier(t, h, "alice")
	}
	got := sink.Wait(testhost.Within(t, soon), n)
	seen := make(map[string]int)
	for _, m := range got {
		seen[m.Recipients[0]]++
	}
	if len(seen) != n || len(got) != n {
		t.Errorf("%d messages to %d recipients", len(got), len(seen))
	}
	h.WaitForLog(first, `^destination closed\.example: well again`)
	waitEmpty(t, h)
	if got := starts(); got > n+10 {
		t.Errorf("%d attempts for %d messages", got, n)
	}
	h.StopSuite()
}

// TestTarpitLeavesSlots has a host that took mail fast and then says nothing any
// more: mail to others goes on.
func TestTarpitLeavesSlots(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	h := relays(t, net)
	h.Control("concurrencyremote", "8")
	tar := net.Host("tar.example").Sink(":25", nil)
	far := net.Host("far.example").Sink(":25", nil)
	h.StartSuite()
	sendMany(t, h, 100, always("u@tar.example"))
	tar.Wait(testhost.Within(t, soon), 100)
	waitEmpty(t, h)
	first := h.Log().Len()
	tar.SetScript(func(string, string) string { return testhost.Silence })
	sendMany(t, h, 60, always("u@tar.example"))
	h.WaitForLog(first, `^starting delivery \d+: msg \d+ to remote u@tar\.example`)
	sendMany(t, h, 60, always("u@far.example"))
	far.Wait(testhost.Within(t, soon), 60)
	if got := count(h, first, "to remote u@tar.example"); got > 6 {
		t.Errorf("the tarpit has %d deliveries", got)
	}
	if d := shownDestinations(t, h)["tar.example"]; d["waiting"].(float64) < 50 {
		t.Errorf("it is shown as %v", d)
	}
	h.CrashSuite()
}
