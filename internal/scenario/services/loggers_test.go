package services

import (
	"strconv"
	"syscall"
	"testing"

	"postrider/internal/ledger"
	"postrider/internal/testhost"
)

// batch is how many messages come between one new file of the log and the next.
const batch = 40

// TestLoggers has qmail-start run the loggers of daemontools and runit itself, as
// it is done with qmail; each begins a new file under load, and none of the lines
// that were in the pipe is missing.
func TestLoggers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, tool, command string }{
		{"daemontools", "multilog", "multilog t n20 s16777215 " + logDir},
		{"runit", "svlogd", "svlogd -tt " + logDir},
	} {
		t.Run(c.tool, func(t *testing.T) {
			t.Parallel()
			h := serviceHost(t, c.name)
			shell(t, h, "mkdir -p "+logDir+"; chown qmaill "+logDir)
			suite := daemon(t, h, "/", "env - PATH=/var/qmail/bin:/usr/bin:/bin qmail-start ./Maildir/ "+c.command)
			await(t, h, logDir, "the suite is up", func() bool {
				return exists(h, logDir+"/current") && logHas(t, h, 0, "status: local 0/")
			})
			if who := shell(t, h, "ps -o user= -C "+c.tool); who != "qmaill\n" {
				t.Errorf("%s runs as %q", c.tool, who)
			}
			mail := begin(t, h)
			for files := 1; files < 4; files++ {
				await(t, h, "/home/"+user, "there is a Maildir", func() bool { return exists(h, "/home/"+user+"/Maildir/new") })
				await(t, h, "/home/"+user+"/Maildir/new", "mail", func() bool { return h.Maildir(user).Count() >= files*batch })
				shell(t, h, "kill -ALRM $(pgrep -x "+c.tool+")")
				await(t, h, logDir, "file "+strconv.Itoa(files+1), func() bool { return len(logFiles(t, h)) > files })
			}
			mail.end(t, func() []ledger.LogLine {
				if err := suite.Signal(syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
				if result, err := suite.Wait(testhost.Within(t, soon)); err != nil || result.Code != 0 {
					t.Errorf("%v, %v", result, err)
				}
				return logLines(t, h)
			})
			whole(t, logLines(t, h))
		})
	}
}
