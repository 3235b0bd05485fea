package hostile

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"postrider/internal/testhost"
)

// greedy are programs that take what they can get, and the log line of their
// end. The bombs are last: they leave children behind that fork all the time,
// also in sessions of their own.
var greedy = []struct{ name, line, log string }{
	{"memory", "|x=$(head -c 200000000 /dev/zero | tr '\\0' x); exit 111\n", `deferral: (.*Out_of_space|Aack,_child_crashed)`},
	{"output", "|exec yes\n", `deferral: y/y/`},
	{"cpu", "|while :; do :; done\n", `deferral: Aack,_child_crashed`},
	// What a shell is quick to start may have its worker's limits, which are larger.
	{"files", "|sleep 1; head -c 10000000 /dev/zero >$HOME/zeros || exit 111\n", `deferral: (File_size_limit_exceeded)?/`},
	{"waits", "|while sleep 1000 & do :; done\n", `deferral: .*Cannot_fork`},
	{"bomb", "|(b() { b | b & }; b) & (b() { setsid sleep 1 & b | b & }; b)\n", `(success: did_0\+0\+1|deferral: .*(Cannot_fork|resource_temporarily_unavailable).*)/`}, // as the one before has left room
}

// mostProcesses is what this test allows a user, well below the default.
const mostProcesses = 150

// ownNumber gives a user of the host a number that no other host has: the kernel
// counts the processes of a number, whatever namespaces those live in.
func ownNumber(g *ground, user string) {
	g.t.Helper()
	number := 20000 + os.Getpid()%20000*2 // two tests, which are one after the other
	if user == "mallory" {
		number++
	}
	g.Must("usermod", "-u", strconv.Itoa(number), user)
}

func limitPrograms(g *ground, memory string) {
	g.Control("programprocesses", "150")
	g.Control("programmemory", memory)
	g.Control("programfilesize", "1000000")
	g.Control("programcpu", "2")
}

// TestProgramsThatTakeTheMachine gives mallory programs that fork, fill memory
// and disk, write and compute without an end. That is her own trouble.
//
// Not parallel, as the next: it takes what other tests would measure.
func TestProgramsThatTakeTheMachine(t *testing.T) {
	g := newGround(t)
	ownNumber(g, "mallory")
	before := g.daemons()
	limitPrograms(g, "20000000")
	for _, p := range greedy {
		g.own("mallory", ".qmail-"+p.name, p.line)
	}
	f := g.flow()
	for _, p := range greedy {
		first := g.Log().Len()
		g.send("bob", "mallory-"+p.name, p.name)
		g.WaitForLog(first, `^delivery \d+: `+p.log)
	}
	end := time.Now().Add(time.Duration(testhost.Times(t, "seconds of bombs", 3, 120)) * time.Second)
	most := 0
	for time.Now().Before(end) {
		most = max(most, g.running("mallory"))
		pause(t.Context(), 200*time.Millisecond)
	}
	f.end("programs that take all they get")
	t.Logf("mallory had at most %d processes", most)
	if most > mostProcesses {
		t.Errorf("mallory had %d processes, allowed are %d", most, mostProcesses)
	}
	g.unharmed(before)
	if size := strings.TrimSpace(g.Must("sh", "-c", "stat -c %s /home/mallory/zeros")); size != "1000000" {
		t.Errorf("mallory wrote a file of %s bytes", size)
	}
	// Her Maildir works all the while, and her programs once the bombs are gone.
	g.own("mallory", ".qmail-box", "./Maildir/\n")
	g.send("bob", "mallory-box", "box")
	g.arrives("mallory", "box")
	for _, p := range greedy {
		g.own("mallory", ".qmail-"+p.name, "#\n")
	}
	g.endAll("mallory")
	g.own("mallory", ".qmail-again", "|cat >>$HOME/Maildir/new/program\n")
	g.send("bob", "mallory-again", "again")
	g.arrives("mallory", "again")
	g.StopSuite()
}

// TestFilterThatTakesTheMachine does so with the filter of clients from the
// network: their mail waits, that of others does not.
func TestFilterThatTakesTheMachine(t *testing.T) {
	g := newGround(t)
	g.StopSuite()
	ownNumber(g, "qmailf")
	g.Must("/var/qmail/bin/qmail-setup")
	limitPrograms(g, "200000000")
	g.Control("rcpthosts", "mx1.example")
	g.Control("timeoutfilter", "3")
	g.Control("tcp.smtp", `127.:allow`, `:allow,QMAILQUEUE="bin/greedy"`)
	g.WriteFile("/var/qmail/bin/greedy", "#!/bin/sh\nb() { setsid sleep 1000 & b | b & }\n(b; b) &\nwhile :; do :; done\n", 0o755)
	g.StartSuite()
	before := g.daemons()
	f := g.flow()
	for range testhost.Times(t, "messages through a filter that forks", 2, 20) {
		var reply *testhost.Reply
		if err := g.bySMTP("x"); !errors.As(err, &reply) || reply.Code/100 != 4 {
			t.Errorf("the client got %v", err)
		}
	}
	f.end("a filter that takes all it gets")
	g.unharmed(before)
	g.onlyFilterLives()
	// Nor does one stay that a filter has left behind which ended before.
	g.WriteFile("/var/qmail/bin/greedy", "#!/bin/sh\nb() { setsid sleep 1000 & b | b & }\n(b; b) >/dev/null 2>&1 4>&1 6>&1 &\nexit 71\n", 0o755)
	if err := g.bySMTP("x"); err == nil {
		t.Error("it is taken")
	}
	g.onlyFilterLives()
	g.WriteFile("/var/qmail/bin/greedy", "#!/bin/sh\nexec /var/qmail/bin/qmail-queue\n", 0o755)
	if err := g.bySMTP("filtered"); err != nil {
		t.Errorf("after the attack: %v", err)
	}
	g.arrives("alice", "filtered")
	g.StopSuite()
}

// onlyFilterLives waits until qmail-filter is all that runs as its user.
func (g *ground) onlyFilterLives() {
	g.t.Helper()
	for ctx := testhost.Within(g.t, soon); g.running("qmailf") > 1; pause(ctx, 50*time.Millisecond) {
		if ctx.Err() != nil {
			g.t.Fatalf("%d processes of filters are left", g.running("qmailf")-1)
		}
	}
}

// bySMTP sends a message to alice over the network.
func (g *ground) bySMTP(subject string) error {
	g.t.Helper()
	ctx := testhost.Within(g.t, soon)
	c, err := g.SMTP(ctx, g.IP.String()+":25")
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Send("x@else.example", []string{"alice@mx1.example"}, "Subject: "+subject+"\n\nx\n")
}

// running counts the processes of a user that have not ended.
func (g *ground) running(user string) (n int) {
	g.t.Helper()
	uid := g.UserID(user)
	for _, p := range g.Processes() {
		if p.UID[0] == uid {
			n++
		}
	}
	return n
}

// endAll kills what a user runs, until nothing new is found.
func (g *ground) endAll(user string) {
	g.t.Helper()
	ctx := testhost.Within(g.t, soon)
	for g.running(user) > 0 {
		if ctx.Err() != nil {
			g.t.Fatalf("%d processes of %s are left", g.running(user), user)
		}
		g.MustRun(testhost.Command{Argv: []string{"sh", "-c", "kill -9 -1 || :"}, User: user})
	}
}

// arrives waits for a message in a user's Maildir.
func (g *ground) arrives(user, subject string) {
	g.t.Helper()
	ctx := testhost.Within(g.t, 2*soon)
	for !strings.Contains(g.Must("sh", "-c", "cat /home/"+user+"/Maildir/new/* 2>/dev/null || :"), "Subject: "+subject+"\n") {
		if ctx.Err() != nil {
			g.t.Fatalf("%s does not arrive\nlog:\n%s", subject, g.Log().Timed(max(0, g.Log().Len()-100)))
		}
		if err := g.Suite().Signal(alarm); err != nil {
			g.t.Fatal(err)
		}
		pause(ctx, 200*time.Millisecond)
	}
}
