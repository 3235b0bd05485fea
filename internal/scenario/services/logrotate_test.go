package services

import (
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"postrider/internal/ledger"
	"postrider/internal/testhost"
)

// rotations are made while mail comes.
const rotations = 4

// TestLogrotate has Debian's logrotate rotate the file that rsyslog writes for the
// loggers of our scripts, while mail comes: no line is lost.
func TestLogrotate(t *testing.T) {
	t.Parallel()
	for _, logger := range []string{"logger -t qmail -p mail.info", "splogger qmail"} {
		name, _, _ := strings.Cut(logger, " ")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := serviceHost(t, "rsyslog", "logrotate")
			contrib(t, h, "rsyslog/postrider.conf", "/etc/rsyslog.d/30-postrider.conf")
			contrib(t, h, "logrotate/postrider", "/etc/logrotate.d/postrider")
			log := syslogd(t, h)
			h.WriteFile("/run/rsyslogd.pid", strconv.Itoa(log.PID)+"\n", 0o644)
			suite := daemon(t, h, "/", "env - PATH=/var/qmail/bin:/usr/bin:/bin qmail-start ./Maildir/ "+logger)
			await(t, h, "/var/log", "the suite is up", func() bool {
				return exists(h, rotated) && strings.Contains(h.ReadFile(rotated), "status: local 0/")
			})
			shell(t, h, "find /etc/logrotate.d -type f ! -name postrider -delete") // of other programs
			shell(t, h, "logrotate -d /etc/logrotate.d/postrider")
			mail := begin(t, h)
			for n := 1; n <= rotations; n++ {
				await(t, h, "/home/"+user, "there is a Maildir", func() bool { return exists(h, "/home/"+user+"/Maildir/new") })
				await(t, h, "/home/"+user+"/Maildir/new", "mail", func() bool { return h.Maildir(user).Count() >= n*batch })
				// The main file of Debian, with ours in it.
				shell(t, h, "logrotate -f -s /var/log/state /etc/logrotate.conf")
				await(t, h, "/var/log", "a new file", func() bool { return exists(h, rotated) })
			}
			mail.end(t, func() []ledger.LogLine {
				if err := suite.Signal(syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
				if result, err := suite.Wait(testhost.Within(t, soon)); err != nil || result.Code != 0 {
					t.Errorf("%v, %v", result, err)
				}
				await(t, h, "/var/log", "the last line", func() bool {
					return strings.Contains(h.ReadFile(rotated), "qmail-start: stopped")
				})
				return rotatedLines(t, h)
			})
			whole(t, rotatedLines(t, h))
		})
	}
}

const rotated = "/var/log/qmail.log"

// rotatedLine is a line of rsyslog, and what splogger puts in front of ours.
var rotatedLine = regexp.MustCompile(`^(\S+) \S+ qmail(?:\[\d+\])?: (?:\d+\.\d{6} )?(.*)$`)

// rotatedLines reads all files, the oldest first.
func rotatedLines(t *testing.T, h *testhost.Host) []ledger.LogLine {
	t.Helper()
	text := shell(t, h, "cd /var/log; for n in 6 5 4 3 2; do [ ! -e qmail.log.$n.gz ] || zcat qmail.log.$n.gz; done; cat qmail.log.1 qmail.log")
	var lines []ledger.LogLine
	for line := range strings.Lines(text) {
		m := rotatedLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			t.Fatalf("%q is no line of rsyslog", line)
		}
		when, err := time.Parse(time.RFC3339, m[1])
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, ledger.LogLine{When: when, Text: m[2]})
	}
	if n := strings.Fields(shell(t, h, "ls /var/log/qmail.log*")); len(n) != rotations+1 {
		t.Errorf("the log has the files %v", n)
	}
	return lines
}
