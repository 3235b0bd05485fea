package captured

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"postrider/internal/testhost"
)

// drills are the programs that are captured.
var drills = []struct {
	program string
	// smtp says that mail of the network is taken meanwhile.
	smtp bool
}{
	{"qmail-smtpd", false},
	{"qmail-remote", true},
	{"qmail-local", true},
	{"qmail-send", true},
	{"qmail-lookup", false},
	{"qmail-auth", true},
	// Those in the bounded form end here.
	{"qmail-policy", false},
	{"qmail-tlskey", true},
	{"qmail-filter", true},
	{"qmail-mtasts", true},
	{"qmail-metrics", true},
}

// TestCapturedPrograms has each program captured on a host of its own.
func TestCapturedPrograms(t *testing.T) {
	t.Parallel()
	lives := testhost.Times(t, "lives of each captured program", 3, 12)
	for _, c := range drills[:testhost.Times(t, "captured programs", 6, len(drills))] {
		t.Run(c.program, func(t *testing.T) {
			t.Parallel()
			lives := lives
			d := newDrill(t, c.program)
			pids, before := d.others(), d.tree()
			d.capture()
			pids = slices.DeleteFunc(pids, d.isCaptured(d.others()))
			if c.program == "qmail-local" {
				lives *= 4 // it ends as soon as it is found out, and nobody waits before the next
			}
			d.flow(lives)
			d.release()
			d.settled()
			d.unharmed(pids)
			compareTrees(t, before, d.tree())
			if c.smtp && d.acked["smtp"] == 6/2 {
				t.Error("no mail of the network was taken meanwhile")
			}
			d.StopSuite()
			d.judge(func(recipient string) bool {
				return c.program != "qmail-remote" || !strings.HasSuffix(recipient, "@"+next)
			})
		})
	}
}

// isCaptured tells the one of the remote workers that was ended to be captured.
func (d *drill) isCaptured(now []string) func(string) bool {
	return func(p string) bool {
		return strings.HasPrefix(p, "qmail-remote ") && d.program == "qmail-remote" && !slices.Contains(now, p)
	}
}

// capture puts the hostile program into the place of the sound one, and ends
// that, as an attacker's exec would.
func (d *drill) capture() {
	d.t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		d.t.Fatal(err)
	}
	seconds, megabytes := 1, 64
	if testhost.Long() {
		seconds, megabytes = 20, 10<<10
	}
	d.WriteFile(planFile, fmt.Sprintf("0 %d %d\n", seconds, megabytes), 0o666)
	path := "/var/qmail/bin/" + d.program
	mode := strings.TrimSpace(d.Must("stat", "-c", "%a", path))
	d.Must("cp", "-p", path, path+soundSuffix) // what runs keeps its name
	d.Must("chmod", "755", path+soundSuffix)   // alice's qmail-local executes it
	d.WriteFile(path+".new", string(self), 0o700)
	d.Must("chmod", mode, path+".new")
	d.Must("mv", path+".new", path)
	d.end()
}

// release puts the sound program back.
func (d *drill) release() {
	d.t.Helper()
	path := "/var/qmail/bin/" + d.program
	d.Must("mv", path+soundSuffix, path)
	first := d.Log().Len()
	d.Kill(d.program, syscall.SIGKILL) // all of it: of two remote workers both are sound then
	if d.program != "qmail-local" {
		d.WaitForLog(first, `^qmail-start: `+d.program+`.* started \(pid`)
	}
}

// end kills the program: of two remote workers one.
func (d *drill) end() {
	d.t.Helper()
	running := d.Find(d.program)
	if d.program == "qmail-remote" {
		running = running[:1]
	}
	for _, p := range running {
		if err := d.Signal(p.PID, syscall.SIGKILL); err != nil {
			d.t.Fatal(err)
		}
	}
}

// flow sends honest mail until the captured program has had its lives.
func (d *drill) flow(lives int) {
	d.t.Helper()
	var worst time.Duration
	begun := time.Now()
	sent := d.sent
	for d.lived() < lives {
		if time.Since(begun) > time.Duration(lives)*soon/2 {
			d.t.Fatalf("only %d lives\nlog:\n%s", d.lived(), d.lastLog())
		}
		for i, to := range []string{"alice@" + domain, "bob@" + domain, "a@" + next} {
			one := time.Now()
			d.bySendmail(to)
			worst = max(worst, time.Since(one))
			if i < 2 {
				d.bySMTP(to)
			}
		}
		if d.program == "qmail-local" { // who is captured wants something to do
			d.Must("/usr/sbin/sendmail", "-f", "", "mallory")
		}
		d.pause(100 * time.Millisecond)
	}
	d.t.Logf("%d messages in %v, the slowest sendmail took %v", d.sent-sent, time.Since(begun).Round(time.Millisecond), worst.Round(time.Millisecond))
}

// lived is how many lives of the captured program have begun.
func (d *drill) lived() (n int) {
	d.t.Helper()
	if _, err := fmt.Sscan(d.ReadFile(planFile), &n); err != nil {
		d.t.Fatal(err)
	}
	return n
}

func (d *drill) pause(a time.Duration) {
	select {
	case <-time.After(a):
	case <-d.t.Context().Done():
	}
}

// unharmed: the same processes run, none had too much memory, and the captured
// program found nothing that it can do.
func (d *drill) unharmed(pids []string) {
	d.t.Helper()
	for _, p := range pids {
		if !slices.Contains(d.others(), p) && !strings.HasPrefix(p, d.program+" ") {
			d.t.Errorf("%s has ended", p)
		}
	}
	name, most := d.worst(pids)
	d.t.Logf("%d other daemons, the largest had %d kB (%s)", len(pids), most>>10, name)
	attacks := make(map[string]int)
	for _, line := range d.Log().Lines(0) {
		if strings.Contains(line.Text, "FOUND") {
			d.t.Error(line.Text)
		}
		if _, what, found := strings.Cut(line.Text, ": attacks "); found {
			attacks[what]++
		}
	}
	for what := range attacks {
		d.t.Log("attack on ", what)
	}
	if d.t.Failed() {
		d.t.Logf("log:\n%s", d.lastLog())
	}
}
