package services

import (
	"regexp"
	"strings"
	"testing"

	"postrider/internal/ledger"
	"postrider/internal/testhost"
)

// syslogd starts rsyslog as it is on a machine, on a /dev of the host's own.
func syslogd(t *testing.T, h *testhost.Host) *testhost.Process {
	t.Helper()
	shell(t, h, `mkdir -p /tmp/dev /var/spool/rsyslog
mount -t tmpfs -o mode=755 tmpfs /tmp/dev
cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /tmp/dev/
ln -s /proc/self/fd /tmp/dev/fd
mount --move /tmp/dev /dev
sed -i -e '/imklog/d' -e 's/adm$/root/' /etc/rsyslog.conf`)
	p := daemon(t, h, "/", "rsyslogd -n -iNONE")
	await(t, h, "/dev", "the system's log takes lines", func() bool { return exists(h, "/dev/log") })
	return p
}

// TestOpenRC has Debian's openrc-run start, reload, upgrade, flush, restart and
// stop the service of contrib while mail comes.
func TestOpenRC(t *testing.T) {
	t.Parallel()
	h := serviceHost(t, "openrc", "rsyslog")
	contrib(t, h, "openrc/postrider", "/etc/init.d/postrider")
	syslogd(t, h)
	// What a machine that openrc has booted has. The services of the others, and
	// what Debian's openrc wants of insserv, are not needed here.
	shell(t, h, "rm -rf /etc/rc?.d; find /etc/init.d ! -name postrider -type f -delete; : >/etc/insserv.conf")
	h.WriteFile("/etc/init.d/localmount", "#!/sbin/openrc-run\nstart() { :; }\n", 0o755)
	shell(t, h, "cd /run; mkdir -p openrc; cd openrc; mkdir daemons exclusive failed hotplugged inactive options scheduled started starting stopping tmp wasinactive; echo default >/run/openrc/softlevel")
	rc := func(verb string) string { return shell(t, h, "/etc/init.d/postrider "+verb) }
	logs := func(text string, times int) {
		t.Helper()
		await(t, h, "/var/log", text, func() bool {
			return exists(h, mailLog) && strings.Count(h.ReadFile(mailLog), text) >= times
		})
	}
	rc("start")
	logs("status: local 0/", 1)
	rc("status")
	mail := begin(t, h)

	h.Control("destinations", "nonsense")
	// Signals do not go by way of supervise-daemon: told to stop before it has passed
	// one on, it would leave qmail-start running.
	shell(t, h, "pkill -STOP -x supervise-daemo")
	rc("reload")
	logs("alert: unable to reread control/destinations", 1)
	shell(t, h, "pkill -CONT -x supervise-daemo")
	shell(t, h, "rm /var/qmail/control/destinations")
	before := suitePID(t, h)
	rc("upgrade")
	logs("upgraded: all processes run the programs that are installed", 1)
	if after := suitePID(t, h); after != before {
		t.Errorf("the process was %s and is %s", before, after)
	}
	rc("flush")
	rc("restart")
	logs("listening on 0.0.0.0:25", 2)
	mail.book.Fault("kill", "qmail-start")
	shell(t, h, "kill -KILL "+suitePID(t, h))
	logs("listening on 0.0.0.0:25", 3)
	probe(t, h)
	// Programs of users have this environment.
	h.WriteFile("/home/"+user+"/.qmail-env", "|env >environment\n", 0o644)
	h.Chown("/home/"+user+"/.qmail-env", user)
	shell(t, h, "echo x | /usr/sbin/sendmail "+user+"-env")
	mail.end(t, func() []ledger.LogLine {
		rc("stop")
		if left := ours(h); len(left) > 0 {
			t.Errorf("after the stop %v run", left)
		}
		return nil
	})
	if said := h.ReadFile("/home/" + user + "/environment"); !strings.Contains(said, "PATH=/var/qmail/bin:") || regexp.MustCompile("(?m)^(RC_|LC_|EINFO|SVC)").MatchString(said) {
		t.Errorf("programs of users have %s", said)
	}
	if result, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: []string{"/etc/init.d/postrider", "status"}}); err != nil || result.Code != 3 {
		t.Errorf("status of a stopped service: %v, %v", result, err)
	}
}

const mailLog = "/var/log/mail.log"

// suitePID is the process number of qmail-start.
func suitePID(t *testing.T, h *testhost.Host) string {
	t.Helper()
	return strings.TrimSpace(shell(t, h, "pgrep -x qmail-start"))
}
