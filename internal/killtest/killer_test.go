package killtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"postrider/internal/ledger"
	"postrider/internal/testhost"
)

// soon is how long something is waited for that takes milliseconds on an idle
// machine.
const soon = 60 * time.Second

// A daemon is killed once, and once more right after its restart, before its
// parent is: qmail-start takes more deaths within a minute for a crash loop,
// and waits.
const maxDeaths = 1

// killer kills, and waits until mail is taken again.
type killer struct {
	t       *testing.T
	host    *site
	load    *load
	random  *rand.Rand
	figures *figures
	deaths  map[string]int // by member, since the last start of qmail-start
}

// cycle is one kill, or two, and the recovery.
func (k *killer) cycle() {
	k.t.Helper()
	switch p := k.random.IntN(100); {
	case p < 10:
		k.everything()
		return
	case p < 18:
		k.parent()
		return
	case p < 45:
		k.again(k.kill(k.choose(2 + k.random.IntN(4))))
	default:
		k.again(k.kill(k.choose(1)))
	}
}

// again kills what has just been restarted, in a quarter of the cycles.
func (k *killer) again(killed []testhost.ProcessInfo, first int) {
	k.t.Helper()
	if len(killed) > 0 && k.random.IntN(4) == 0 {
		var victims []testhost.ProcessInfo
		for _, was := range killed {
			if k.deaths[member(was)] <= maxDeaths {
				victims = append(victims, k.restarted(was, first)...)
			}
		}
		if len(victims) > 0 {
			k.figures.nested++
			pause(k.t.Context(), time.Duration(k.random.IntN(400))*time.Millisecond)
			killed, first = k.kill(victims)
		}
	}
	for _, was := range killed {
		k.restarted(was, first)
	}
	k.progress()
}

// choose returns up to n processes that have not died too often: all kinds are
// as likely, whatever their number.
func (k *killer) choose(n int) []testhost.ProcessInfo {
	k.t.Helper()
	byProgram := make(map[string][]testhost.ProcessInfo)
	for _, p := range k.running() {
		if p.Name == "qmail-local" || k.deaths[member(p)] < maxDeaths {
			byProgram[p.Name] = append(byProgram[p.Name], p)
		}
	}
	var programs []string
	for name := range byProgram {
		programs = append(programs, name)
	}
	slices.Sort(programs)
	k.random.Shuffle(len(programs), func(i, j int) { programs[i], programs[j] = programs[j], programs[i] })
	var victims []testhost.ProcessInfo
	for _, name := range programs[:min(n, len(programs))] {
		of := byProgram[name]
		victims = append(victims, of[k.random.IntN(len(of))])
	}
	if len(victims) == 0 || len(victims) == 1 && victims[0].Name == "qmail-local" && len(programs) == 1 {
		k.parent() // all others have died often enough
		return nil
	}
	return victims
}

// running are the daemons of the present qmail-start and their workers. Those
// of one that was killed finish what they have and end.
func (k *killer) running() []testhost.ProcessInfo {
	k.t.Helper()
	return slices.DeleteFunc(k.host.Daemons(), func(p testhost.ProcessInfo) bool {
		return !strings.HasPrefix(p.Name, "qmail-") || p.Name == "qmail-start" || p.Name == "qmail-queue"
	})
}

// member names a process over its restarts. qmail-remote workers share a
// name: together they die as often as one.
func member(p testhost.ProcessInfo) string { return p.Name }

// kill kills processes at once and measures how long mail is refused. It
// returns those that did not end by themselves, and the place in the log.
func (k *killer) kill(victims []testhost.ProcessInfo) (killed []testhost.ProcessInfo, first int) {
	k.t.Helper()
	if len(victims) == 0 {
		return nil, 0
	}
	first = k.host.Log().Len()
	var names []string
	for _, p := range victims {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	k.load.book.Fault("kill", strings.Join(names, "+"))
	begun := time.Now()
	counted := make(map[string]bool)
	for _, p := range victims {
		if k.host.Signal(p.PID, syscall.SIGKILL) != nil {
			continue // ended by itself meanwhile
		}
		killed = append(killed, p)
		k.figures.kill(p.Name)
		if !counted[member(p)] {
			counted[member(p)] = true
			k.deaths[member(p)]++
		}
	}
	what := names[0]
	if len(names) > 1 {
		what = "several"
	}
	for _, p := range killed {
		if k.deaths[member(p)] > 1 && p.Name != "qmail-local" {
			what = "one twice, whose start then waits for 1 s"
		}
	}
	k.recovery(what, begun)
	return killed, first
}

// restarted waits for the successor of a killed process and returns it. A
// worker of a user comes with the next delivery, if there is one.
func (k *killer) restarted(was testhost.ProcessInfo, first int) []testhost.ProcessInfo {
	k.t.Helper()
	if was.Name != "qmail-local" {
		k.wait(first, `^qmail-start: warning: `+was.Name+`.* \(pid `+fmt.Sprint(was.PID)+`\) was killed`)
		k.wait(first, `^qmail-start: `+was.Name+`.* started \(pid`)
	}
	for _, p := range k.running() {
		if p.Name == was.Name && p.PID != was.PID {
			return []testhost.ProcessInfo{p}
		}
	}
	return nil
}

// parent kills qmail-start; the others end, and a new one takes over.
func (k *killer) parent() {
	k.t.Helper()
	k.load.book.Fault("kill", "qmail-start")
	dead := k.host.Suite()
	begun := time.Now()
	if err := dead.Signal(syscall.SIGKILL); err != nil {
		k.t.Fatal(err)
	}
	if _, err := dead.Wait(k.t.Context()); err != nil {
		k.t.Fatal(err)
	}
	k.figures.kill("qmail-start")
	clear(k.deaths)
	k.takeOver("qmail-start", begun)
}

// everything kills all processes of the host, clients too.
func (k *killer) everything() {
	k.t.Helper()
	for _, p := range k.running() {
		k.figures.kill(p.Name)
	}
	k.figures.kill("qmail-start")
	k.load.book.Fault("kill", "everything")
	begun := time.Now()
	k.host.CrashSuite()
	clear(k.deaths)
	k.takeOver("everything", begun)
}

// takeOver starts the suite as an init system does that watches it.
func (k *killer) takeOver(what string, begun time.Time) {
	k.t.Helper()
	recovered := make(chan struct{})
	go func() {
		defer close(recovered)
		k.recovery(what, begun)
	}()
	k.host.StartSuite()
	<-recovered
	k.progress()
}

// recovery sends messages by SMTP until one is taken.
func (k *killer) recovery(what string, begun time.Time) {
	ctx, cancel := context.WithTimeout(k.t.Context(), soon)
	defer cancel()
	random := rand.New(rand.NewPCG(uint64(begun.UnixNano()), 0))
	for taken := false; !taken; {
		k.load.one("probe", func(ctx context.Context, in ledger.Intent, text string) {
			taken = k.load.trySMTP(ctx, in, text, plainly)
		}, []string{boxes[0] + "-probe@" + here}, random)
		if ctx.Err() != nil {
			k.t.Errorf("no mail is taken after the kill of %s\nof the log, what is not about mail:\n%s", what, supervision(k.host))
			return
		}
		if !taken {
			pause(ctx, 5*time.Millisecond)
		}
	}
	k.figures.recovered(what, time.Since(begun))
}

func (k *killer) wait(first int, pattern string) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), soon)
	defer cancel()
	if _, _, err := k.host.Log().Wait(ctx, first, regexp.MustCompile(pattern)); err != nil {
		k.t.Fatalf("%v\nof the log, what is not about mail:\n%s", err, supervision(k.host))
	}
}

// progress waits until some recipients more were taken, so that each kill
// meets a suite at work.
func (k *killer) progress() {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), soon)
	defer cancel()
	for goal := k.load.acked.Load() + k.random.Int64N(100); k.load.acked.Load() < goal; {
		select {
		case <-k.load.answered:
		case <-ctx.Done():
			k.t.Fatalf("no mail is taken any more\nof the log, what is not about mail:\n%s", supervision(k.host))
		}
	}
}

// supervision are the lines that are not about one message.
func supervision(h *site) string {
	var b strings.Builder
	lines := h.Log().Lines(0)
	for _, line := range lines[max(0, len(lines)-5000):] {
		if !aboutMail.MatchString(line.Text) {
			fmt.Fprintf(&b, "%9.3f %s\n", line.When.Sub(lines[0].When).Seconds(), line.Text)
		}
	}
	return b.String()
}

var aboutMail = regexp.MustCompile(`^(starting delivery|delivery \d+:|status: local|(new|end|info|bounce) msg|qmail-smtpd: (status|session)) `)
