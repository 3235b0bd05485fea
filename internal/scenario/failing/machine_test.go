//go:build linux && amd64

package failing

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"postrider/internal/faultcall"
	"postrider/internal/testhost"
)

// noFault is the order of messages that meet trouble of the whole machine.
var noFault = faultcall.Order{Program: "machine"}

// block is what a file system hands out at a time.
const block = 4096

// TestFullDisk fills the disk of the queue and the mailboxes up for an hour by
// the clock of the suite, frees it block
// by block, and fills it again for as long as messages come in; then all
// inodes are used up. Nobody starts anything again.
func TestFullDisk(t *testing.T) {
	r := newRigOn(t, testhost.Disk{Size: 448 << 20}, "alice")
	r.onMovedClock()
	for _, how := range []struct {
		name       string
		fill, free func(step int)
	}{{"blocks", r.fillBlocks, r.freeBlocks}, {"inodes", r.fillInodes, r.freeInodes}} {
		first := r.host.Log().Len()
		answers := map[outcome]int{}
		how.fill(0)
		for range testhost.Times(t, "messages while there are no "+how.name+", three minutes apart", 20, 2000) {
			answers[r.bySMTP(noFault, sizes[r.sent%len(sizes)], "alice")]++
			r.lookAgain()
		}
		if answers[refused] == 0 {
			t.Errorf("no %s: every message was taken", how.name)
		}
		for step := range testhost.Times(t, "steps of "+how.name, 24, 200) {
			how.free(step)
			answers[r.bySMTP(noFault, sizes[r.sent%len(sizes)], "alice")]++
			how.fill(step)
		}
		lines := r.host.Log().Len() - first
		t.Logf("no %s: %d taken, %d refused, %d without an answer; %d log lines", how.name, answers[taken], answers[refused], answers[unanswered], lines)
		if n := r.sent; lines > 40*n {
			t.Errorf("no %s: %d log lines for %d messages", how.name, lines, n)
		}
		how.free(-1)
		r.rest()
	}
	r.judge()
	r.report()
}

// TestReadOnlyDisk makes the disk read-only for good, as the kernel does when
// the disk fails, while mail comes in and goes out. Nothing is taken then, and
// nothing ends; what was taken before is delivered when the disk is mounted
// again.
func TestReadOnlyDisk(t *testing.T) {
	r := newRigOn(t, testhost.Disk{Size: 448 << 20}, "alice")
	r.onMovedClock()
	for range 12 {
		r.bySMTP(noFault, sizes[r.sent%len(sizes)], "alice") // some are on their way
	}
	first, ids := r.host.Log().Len(), r.processes()
	// ext4 does this to itself when its journal cannot be written.
	r.host.Must("mount", "-o", "remount,abort", "/var/qmail")
	r.book.Fault("read-only", "disk")
	for range testhost.Times(t, "messages while the disk is read-only", 12, 500) {
		if r.bySMTP(noFault, sizes[r.sent%len(sizes)], "alice") == taken {
			r.wrong("a message was taken that no disk can hold")
		}
	}
	if now := r.processes(); now != ids {
		r.wrong("daemons %s were %s", now, ids)
	}
	lines := r.host.Log().Len() - first
	t.Logf("%d log lines for %d messages", lines, r.sent)
	if lines > 40*r.sent {
		r.wrong("%d log lines for %d messages", lines, r.sent)
	}
	r.host.PowerCut()
	r.host.StartSuite()
	r.rest()
	r.judge()
	r.report()
}

// processes are the daemons with their numbers, without those that come and go.
func (r *rig) processes() string {
	r.t.Helper()
	var list []string
	for _, p := range r.host.Daemons() {
		if p.Name != "qmail-local" {
			list = append(list, fmt.Sprint(p.Name, "=", p.PID))
		}
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// TestFileSizeLimit runs the suite under a limit of 64 KiB for a file, as a
// shell may have set it (ulimit -f). What is larger is refused, or waits; it is
// delivered without the limit.
func TestFileSizeLimit(t *testing.T) {
	r := newRig(t, "alice")
	r.host.StartSuiteUnder([]string{"prlimit", "--fsize=65536"})
	answers := make(map[outcome]int)
	for range testhost.Times(t, "messages under a limit for files", 12, 300) {
		answers[r.bySMTP(noFault, []int{600, 65_000, 100_000}[r.sent%3], "alice")]++
	}
	t.Logf("%d taken, %d refused, %d without an answer", answers[taken], answers[refused], answers[unanswered])
	if answers[taken] == 0 || answers[refused] == 0 || answers[unanswered] > 0 {
		r.wrong("small messages should be taken and large ones refused")
	}
	r.host.StopSuite()
	r.host.StartSuite()
	r.rest()
	r.judge()
	r.report()
}

// onMovedClock starts the suite without a supervisor, on a clock that can be
// moved to when trouble is looked at again.
func (r *rig) onMovedClock() {
	r.t.Helper()
	r.host.InstallMovedClock()
	r.clock = time.Second
	r.host.StartSuite()
}

func (r *rig) filler() string { return r.host.Path("/home/filler") }

// fillBlocks takes what blocks there are.
func (r *rig) fillBlocks(int) {
	r.t.Helper()
	f, err := os.OpenFile(r.filler(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size >= block; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else if err != nil {
			r.t.Fatal(err)
		}
	}
}

// freeBlocks gives step blocks back; -1 means all.
func (r *rig) freeBlocks(step int) {
	r.t.Helper()
	info, err := os.Stat(r.filler())
	if err != nil {
		r.t.Fatal(err)
	}
	size := max(0, info.Size()-int64(step)*block)
	if step < 0 {
		size = 0
	}
	if err := os.Truncate(r.filler(), size); err != nil {
		r.t.Fatal(err)
	}
}

// fillInodes makes empty files as long as there are inodes.
func (r *rig) fillInodes(int) {
	r.t.Helper()
	dir := r.host.Path("/home/inodes")
	if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
		r.t.Fatal(err)
	}
	for n := r.inodes; ; n++ {
		f, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(n)), os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, syscall.ENOSPC) {
			r.inodes = n
			return
		}
		if err != nil {
			r.t.Fatal(err)
		}
		f.Close()
	}
}

// freeInodes gives step inodes back; -1 means all.
func (r *rig) freeInodes(step int) {
	r.t.Helper()
	if step < 0 {
		step = r.inodes
	}
	for ; step > 0 && r.inodes > 0; step-- {
		r.inodes--
		if err := os.Remove(r.host.Path("/home/inodes/" + strconv.Itoa(r.inodes))); err != nil {
			r.t.Fatal(err)
		}
	}
}

// scarcity is how long there are no descriptors.
const scarcity = 500 * time.Millisecond

// TestDescriptors takes descriptors away from running daemons, one daemon
// after another, and gives them back (R61).
func TestDescriptors(t *testing.T) {
	r := newRig(t, "alice", "bob")
	r.onMovedClock()
	waited := 0
	for _, program := range []string{"qmail-smtpd", "qmail-spool", "qmail-send", "qmail-lspawn"} {
		for _, spare := range []int{0, 1, 2, 4} {
			for _, p := range r.host.Find(program) {
				r.limit(p, fmt.Sprintf("--nofile=%d:", len(p.Files)+spare))
			}
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				for range 3 {
					r.bySMTP(noFault, sizes[r.sent%len(sizes)], []string{"alice", "bob"}[r.sent%2])
				}
			}()
			// Who has no descriptor for a client lets him wait.
			select {
			case <-sent:
			case <-time.After(scarcity):
				waited++
			}
			for _, p := range r.host.Find(program) {
				r.limit(p, "--nofile=1024:")
			}
			<-sent
		}
	}
	t.Logf("%d of 16 times somebody waited until there were descriptors again", waited)
	r.rest()
	r.judge()
	r.report()
}

// limit changes a soft limit as the process's own user, who needs no right
// for that which a container's root may lack.
func (r *rig) limit(p testhost.ProcessInfo, what string) {
	r.t.Helper()
	r.host.Must("setpriv", "--reuid="+strconv.Itoa(p.UID[0]), "--regid="+strconv.Itoa(p.GID[0]), "--clear-groups",
		"prlimit", "--pid", strconv.Itoa(p.PID), what)
}

// group is a control group (version 1) of its own for a suite.
type group struct {
	t   *testing.T
	dir string
}

// inGroup starts the suite in a control group of the controller.
func (r *rig) inGroup(controller string) group {
	r.t.Helper()
	removeStaleGroups(controller)
	g := group{r.t, fmt.Sprintf("%s%d-%d", groupPrefix(controller), os.Getpid(), time.Now().UnixNano())}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		// A group with processes cannot be removed. Mostly there are none left.
		_ = r.host.Signal(-1, syscall.SIGKILL)
		for deadline := time.Now().Add(patient); os.Remove(g.dir) != nil; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				r.t.Errorf("%s is left", g.dir)
				return
			}
		}
	})
	r.host.InstallMovedClock()
	r.clock = time.Second
	r.host.StartSuiteUnder([]string{"sh", "-c", `echo 0 > "$0/cgroup.procs" && exec "$@"`, g.dir})
	return g
}

func groupPrefix(controller string) string {
	return "/sys/fs/cgroup/" + controller + "/postrider-failing-"
}

// removeStaleGroups removes what test runs left that were killed.
func removeStaleGroups(controller string) {
	dirs, _ := filepath.Glob(groupPrefix(controller) + "*") // fails only for a bad pattern
	for _, dir := range dirs {
		maker, _, _ := strings.Cut(strings.TrimPrefix(dir, groupPrefix(controller)), "-")
		if _, err := os.Stat("/proc/" + maker); os.IsNotExist(err) {
			_ = os.Remove(dir) // one with processes stays
		}
	}
}

func (g group) set(name string, value int) {
	g.t.Helper()
	if err := os.WriteFile(filepath.Join(g.dir, name), []byte(strconv.Itoa(value)), 0); err != nil && !errors.Is(err, syscall.EBUSY) {
		g.t.Fatal(err)
	}
}

// get returns the number after key in a file of the group, or its only one.
func (g group) get(name, key string) int {
	g.t.Helper()
	data, err := os.ReadFile(filepath.Join(g.dir, name))
	if err != nil {
		g.t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if n, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, key))); err == nil {
			return n
		}
	}
	g.t.Fatalf("%s: no number after %q in %q", name, key, data)
	return 0
}

// TestProcesses: at the limit of processes a worker cannot be started; its
// deliveries are deferred (R62).
func TestProcesses(t *testing.T) {
	r := newRig(t, "alice", "bob", "carol")
	g := r.inGroup("pids")
	// Each daemon has the threads that it needs once it has done its work.
	for range 20 {
		r.bySMTP(noFault, 600, "alice")
	}
	r.rest()
	for spare := range 4 {
		g.set("pids.max", g.get("pids.current", "")+spare)
		for _, user := range []string{"alice", "bob", "carol"} {
			r.bySMTP(noFault, 600, user)
		}
		g.set("pids.max", 1000)
		r.revive()
		r.rest()
	}
	n := g.get("pids.events", "max ")
	t.Logf("%d times no process or thread could be made", n)
	if n == 0 {
		t.Error("the limit was never met")
	}
	r.judge()
	r.report()
}

// revive starts qmail-start again if it was its end, as an init system does: a
// Go program ends when it gets no memory, or no thread.
func (r *rig) revive() {
	r.t.Helper()
	select {
	case <-r.host.Suite().Ended():
		r.t.Log("qmail-start itself has ended")
		r.host.StartSuite()
	default:
	}
}

// TestMemory takes memory away until the kernel kills (R12).
func TestMemory(t *testing.T) {
	r := newRig(t, "alice", "bob")
	g := r.inGroup("memory")
	kills := func() int { return g.get("memory.oom_control", "oom_kill ") }
	limit := g.get("memory.usage_in_bytes", "")
	for ; kills() == 0 && limit > 1<<20; limit = limit * 9 / 10 {
		g.set("memory.limit_in_bytes", limit)
		if used := g.get("memory.usage_in_bytes", ""); used > limit { // the kernel cannot take so much
			g.set("memory.limit_in_bytes", used)
		}
		r.book.Fault("memory", strconv.Itoa(limit))
		r.bySMTP(noFault, 100_000, []string{"alice", "bob"}[r.sent%2])
	}
	t.Logf("%d processes killed for lack of memory at %d bytes", kills(), limit)
	if kills() == 0 {
		t.Error("the kernel killed nobody")
	}
	g.set("memory.limit_in_bytes", 1<<30)
	r.mayEnd = true
	r.revive()
	r.rest()
	r.judge()
	r.report()
}
