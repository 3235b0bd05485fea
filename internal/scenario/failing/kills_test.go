//go:build linux && amd64

package failing

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"postrider/internal/faultcall"
	"postrider/internal/testhost"
)

const (
	nextDomain = "far.example" // is the next host's
	noOneThere = "refused@" + nextDomain
)

// killSizes are those of a message in one file of the queue, and of one in two.
var killSizes = []int{600, 100_000}

// killScenario is a message on whose way programs are killed.
type killScenario struct {
	name string
	to   []string
	ends int // entries of the queue that come of it, and end
}

// killScenarios are the seven of T2. The user fwd forwards to alice, and list
// to alice and bob; bob has an mbox.
var killScenarios = []killScenario{
	{"one local", []string{"alice"}, 1},
	{"one remote", []string{"a@" + nextDomain}, 1},
	{"three mixed", []string{"alice", "bob", "a@" + nextDomain}, 1},
	{"one bad", []string{nobody}, 2},
	{"bounce of a part", []string{"alice", noOneThere}, 2},
	{"forward", []string{"fwd"}, 2},
	{"list", []string{"list"}, 2},
}

// killPrograms are those on the way of a message. qmail-queue takes the place of
// the SMTP client.
var killPrograms = []string{
	"qmail-smtpd", "qmail-queue", "qmail-spool", "qmail-send", "qmail-lspawn", "qmail-local", "qmail-remote",
}

// concerns tells whether a program has a part in the scenario.
func (s killScenario) concerns(program string) bool {
	switch program {
	case "qmail-local":
		return true // bounces are local mail
	case "qmail-remote":
		return strings.Contains(strings.Join(s.to, " "), nextDomain)
	}
	return true
}

// TestKills kills each program before and after each call that others or a
// restart see, while messages of seven kinds are on their way; in the bounded
// form at a few calls, chosen at random.
func TestKills(t *testing.T) {
	if !testhost.Long() {
		r := newKillRig(t)
		for _, s := range killScenarios {
			r.someKills(s, 2)
		}
		r.endKills()
		return
	}
	for _, s := range killScenarios {
		t.Run(s.name, func(t *testing.T) {
			r := newKillRig(t)
			for _, program := range killPrograms {
				if s.concerns(program) {
					r.allKills(s, program)
				}
			}
			r.endKills()
		})
	}
}

// newKillRig is a rig with all that the scenarios need. Its qmail-start holds no
// death for the second of a program: that waits, and there are thousands.
func newKillRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, "alice", "bob", "fwd", "list")
	for user, text := range map[string]string{"bob": "./Mailbox\n", "fwd": "&alice@" + domain + "\n", "list": "&alice@" + domain + "\n&bob@" + domain + "\n"} {
		r.host.WriteFile("/home/"+user+"/.qmail", text, 0o644)
		r.host.Chown("/home/"+user+"/.qmail", user)
	}
	far := r.net.Host(nextDomain)
	r.next = far.Sink(":25", func(verb, argument string) string {
		if verb == "RCPT" && strings.Contains(argument, noOneThere) {
			return "550 no such user"
		}
		return testhost.Default
	})
	r.dead = []string{noOneThere}
	r.host.Control("rcpthosts", domain, nextDomain)
	r.host.Control("remoteworkers", "1")
	r.host.InstallMovedClock()
	r.clock = time.Second
	r.host.InstallMutant("../../..", testhost.Mutant{
		Program: "qmail-start", File: "qmail-send/start/restart.go", Old: "longLife = time.Minute", New: "longLife = time.Nanosecond",
	})
	r.start()
	return r
}

// endKills holds the ledger against what the kills have left.
func (r *rig) endKills() {
	r.t.Helper()
	r.injected.log(r.t)
	r.rest()
	r.judge()
	r.report()
}

// killMisses is how many calls in a row must be missing until there are no more: the
// number of calls on a message's way varies.
const killMisses = 3

// allKills kills a program before and after its first call, its second, and so
// on until a message is done with before that call.
func (r *rig) allKills(s killScenario, program string) {
	r.t.Helper()
	began, points, calls, last := time.Now(), 0, make(map[faultcall.Class]bool), 0
	for nth, missed := 1, 0; missed < killMisses && nth <= maxNth; nth++ {
		fired := false
		for i := range 2 * len(killSizes) {
			if class, hit := r.killAt(s, program, nth, i%2 > 0, killSizes[i/2]); hit {
				calls[class], fired, last = true, true, nth
				points++
			}
		}
		if missed++; fired {
			missed = 0
		}
	}
	classes := slices.Sorted(maps.Keys(calls))
	r.t.Logf("%s: %s: %d kills, at calls 1 to %d, in %v; classes %v", s.name, program, points, last, time.Since(began).Round(time.Second), classes)
}

// someKills kills n times, at calls chosen at random: one that is not made
// is followed by an earlier one.
func (r *rig) someKills(s killScenario, n int) {
	r.t.Helper()
	for ; n > 0; n-- {
		program := killPrograms[r.random.IntN(len(killPrograms))]
		for !s.concerns(program) {
			program = killPrograms[r.random.IntN(len(killPrograms))]
		}
		for nth := 1 + r.random.IntN(30); nth > 0; nth /= 2 {
			if _, hit := r.killAt(s, program, nth, r.random.IntN(2) > 0, killSizes[r.random.IntN(2)]); hit {
				break
			}
		}
	}
}

// killAt sends a message and kills a program at its call number nth from then
// on. It returns the class of the call, or that there was none, when mail is
// taken again and the queue is empty.
func (r *rig) killAt(s killScenario, program string, nth int, after bool, size int) (class faultcall.Class, hit bool) {
	r.t.Helper()
	o := faultcall.Order{Program: program, Class: faultcall.Any, Nth: nth, Fault: faultcall.Fault{Kill: true, After: after}}
	first := r.host.Log().Len()
	events, _ := r.calls.Events(0)
	if program == "qmail-queue" {
		class, hit = r.killCaller(o, s, size)
	} else {
		r.arm(o)
		if r.bySMTP(o, size, s.to...) == taken {
			r.awaitEnds(len(events), first, s.ends)
		}
		if fresh, _ := r.calls.Events(len(events)); len(fresh) > 0 {
			class, hit = fresh[0].Class, true
			r.book.Fault("kill", program)
			// A kill that comes after a call is forgotten by the next orders.
			r.awaitDeath(s, program, first)
			r.arm()
			r.awaitStart(program, first)
		}
	}
	if hit {
		r.count(program)
	}
	r.drain()
	return class, hit
}

// killCaller kills qmail-queue instead of a daemon.
func (r *rig) killCaller(o faultcall.Order, s killScenario, size int) (class faultcall.Class, hit bool) {
	r.t.Helper()
	first := r.host.Log().Len()
	got, events := r.programUnder(o, []faultcall.Order{o}, "qmail-queue", size, s.to...)
	if got == taken {
		r.awaitEnds(1<<30, first, s.ends)
	}
	for _, e := range events {
		class, hit = e.Class, true
	}
	return class, hit
}

// awaitEnds waits for an event of the supervisor after those that there were, or
// for the ends of so many entries of the queue in the log from line first on. A
// process that waits in the call after which it is to die does so in the next
// delivery, which is then tried once more.
func (r *rig) awaitEnds(events, first, ends int) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), answerWait)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		var err error
		for next := first; ends > 0 && err == nil; ends-- {
			_, next, err = r.host.Log().Wait(ctx, next, ended)
		}
		done <- err
	}()
	quiet := time.NewTicker(2 * time.Second)
	defer quiet.Stop()
	for {
		fresh, changed := r.calls.Events(events)
		if len(fresh) > 0 {
			return
		}
		select {
		case err := <-done:
			if err != nil {
				r.wrong("neither kill nor delivery: %v", err)
			}
			return
		case <-changed:
		case <-quiet.C:
			r.lookAgain()
		}
	}
}

// awaitDeath waits until qmail-start tells that a program was killed, from line
// first of the log on. One that waits in the call after which it is to die gets
// another message to wake up for.
func (r *rig) awaitDeath(s killScenario, program string, first int) {
	r.t.Helper()
	if program == "qmail-local" {
		return
	}
	died := regexp.MustCompile(`^qmail-start: .*` + program + `.* was killed by signal 9`)
	for ctx := testhost.Within(r.t, patient); ctx.Err() == nil; {
		moment, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, _, err := r.host.Log().Wait(moment, first, died)
		cancel()
		if err == nil {
			return
		}
		r.bySMTP(noFault, killSizes[0], s.to...)
	}
}

// awaitStart waits until a killed program was started again, from line first of the
// log on. Those of users are when there is something to deliver.
func (r *rig) awaitStart(program string, first int) {
	r.t.Helper()
	if program == "qmail-local" {
		return
	}
	ctx := testhost.Within(r.t, patient)
	patterns := []string{fmt.Sprintf(`^qmail-start: %s.* started \(pid`, program)}
	if program == "qmail-send" {
		patterns = append(patterns, `^status: local 0/`)
	}
	var err error
	for _, p := range patterns {
		if _, first, err = r.host.Log().Wait(ctx, first, regexp.MustCompile(p)); err != nil {
			r.t.Fatalf("%s is not started again: %v\nlog:\n%s", program, err, r.lastLog(100))
		}
	}
}
