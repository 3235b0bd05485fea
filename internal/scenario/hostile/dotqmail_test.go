package hostile

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"postrider/internal/testhost"
)

// instructions are .qmail files that attack whoever reads or obeys them. setup
// makes the file $f of that extension, or text is what is in it.
var instructions = []struct{ name, setup, text string }{
	{"symlink", "ln -s /etc/secret $f", ""},
	{"private", "ln -s /home/alice/private $f", ""},
	{"fifo", "mkfifo $f", ""},
	{"device", "ln -s /dev/zero $f", ""},
	{"directory", "mkdir $f", ""},
	{"loop", "ln -s $f $f", ""},
	{"huge", "truncate -s 1T $f", ""},
	{"writable", "echo ./Maildir/ >$f; chmod 666 $f", ""},
	{"lines", "yes '# nothing' | head -1000000 >$f", ""},
	{"forwards", "yes '&mallory-null@mx1.example' | head -2000 >$f", ""},
	// Without slashes: "/" is a Maildir in whose tmp everybody may write.
	{"binary", "head -c 100000 /dev/urandom | tr -d / >$f", ""},
	{"elsewhere", "", "/home/alice/Maildir/\n"},
	{"mbox", "", "/home/alice/private\n"},
	{"root", "", "/etc/secret\n"},
	{"ignores", "", "|trap '' TERM HUP INT; sleep 1000\n"},
	{"holds", "", "|sleep 1000 & exit 0\n"},
	{"closes", "", "|exec 0<&- 1>&- 2>&-; exec sleep 1\n"},
	{"prints", "", "|yes | head -c 1000000000\n"},
	{"forks", "", "|i=0; while [ $i -lt 200 ]; do sleep 1000 & i=$((i+1)); done\n"},
	{"session", "", "|setsid sleep 1000 & exit 0\n"},
	{"stops", "", "|kill -STOP $PPID; exit 111\n"},
	{"kills", "", "|kill -9 $PPID; exit 111\n"},
	{"group", "", "|kill -9 0\n"},
	{"all", "", "|kill -9 -1\n"},
	{"memory", "", "|for f in mem fd/0 fd/1 fd/2 fd/3 fd/4 fd/5 fd/6 environ; do if echo x >/proc/$PPID/$f; then echo $f >>$HOME/found; fi; done 2>/dev/null; exit 0\n"},
	{"parent", "", "|" + attackVariable + "=parent " + attackerPath + " >>$HOME/found\n"},
	{"shell", "", "|env >$HOME/environment\n"},
}

// TestInstructionsThatAttack gives mallory all of them at once.
func TestInstructionsThatAttack(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	before := g.daemons()
	g.own("mallory", ".qmail-null", "#\n")
	for _, in := range instructions {
		file := ".qmail-" + in.name
		if in.setup == "" {
			g.own("mallory", file, in.text)
			continue
		}
		g.MustRun(testhost.Command{Argv: []string{"sh", "-c", "cd; f=" + file + "; " + in.setup}, User: "mallory"})
	}
	seconds := testhost.Times(t, "seconds of mail to attacking .qmail files", 8, 300)
	f := g.flow()
	end := time.Now().Add(time.Duration(seconds) * time.Second)
	for round := 0; time.Now().Before(end); round++ {
		for _, in := range instructions {
			if round < 5 || len(g.Queue()) < 100 {
				g.send("bob", "mallory-"+in.name, fmt.Sprint(in.name, round))
			}
		}
		// A sender with what a shell would run (R40).
		g.MustRun(testhost.Command{
			Argv: []string{"/usr/sbin/sendmail", "-f", "() { :;}; touch /home/mallory/shellshock@x.example", "mallory-shell"},
			User: "bob", Stdin: "Subject: () { :;}; touch /home/mallory/shellshock\n\nx\n",
		})
		if err := g.Suite().Signal(alarm); err != nil {
			t.Fatal(err)
		}
		pause(t.Context(), 2*time.Second)
	}
	f.end(".qmail files")
	g.unharmed(before)
	if found := g.Must("sh", "-c", "cat /home/mallory/found 2>/dev/null; ls /home/mallory/shellshock /tmp/* 2>/dev/null || :"); found != "" {
		t.Errorf("programs of mallory could: %s", found)
	}
	for _, m := range g.Maildir("alice").Messages() {
		if !strings.HasPrefix(m.Header("Subject"), "flow ") {
			t.Errorf("alice got %s", m.Text)
		}
	}
	// Another message of hers goes its way once the attack is over.
	g.attackOver()
	g.own("mallory", ".qmail", "./Maildir/\n")
	g.send("bob", "mallory", "after")
	ctx := testhost.Within(t, 2*soon)
	for !strings.Contains(g.Must("sh", "-c", "cat /home/mallory/Maildir/new/* 2>/dev/null || :"), "Subject: after\n") {
		if ctx.Err() != nil {
			t.Fatalf("mallory's own mail does not flow\nlog:\n%s", g.Log().Timed(max(0, g.Log().Len()-200)))
		}
		pause(ctx, 1e8)
	}
	g.StopSuite()
}

// attackOver takes the instructions away and kills what mallory still runs.
func (g *ground) attackOver() {
	g.t.Helper()
	for _, in := range instructions {
		g.Must("sh", "-c", "rm -rf /home/mallory/.qmail-"+in.name)
		g.own("mallory", ".qmail-"+in.name, "#\n")
	}
	uid := g.UserID("mallory")
	for _, p := range g.Processes() {
		if p.UID[0] == uid {
			_ = g.Signal(p.PID, 9) // it may have ended by itself
		}
	}
}
