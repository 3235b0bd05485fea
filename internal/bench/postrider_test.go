package bench

import (
	"fmt"
	"os/exec"
	"strings"
)

// newPostrider installs the suite. Its mailboxes belong to one user, by
// users/assign, as those of the others do.
func newPostrider(y *yard, n plan) (*peer, error) {
	h := y.host
	h.Install()
	h.Control("me", "bench.test")
	h.Control("locals", "local.test")
	h.Control("rcpthosts", "local.test")
	h.Control("tcp.smtp", `127.:allow,RELAYCLIENT=""`)
	h.Control("smtplisten", server)
	h.Control("concurrencysmtp", "2000")
	h.Control("concurrencysmtpip", "2000")
	h.Control("concurrencyremote", "100")
	h.Control("smtproutes", append(fanRoutes("f%d.test:%s:%d"), "remote.test:"+sinkServer, ".remote.test:"+sinkServer, "dead.test:"+deadServer)...)
	p := &peer{
		name: ours, version: revision(), syncs: true, orderly: true, fixed: true, fans: true, scheduler: "qmail-send",
		daemons:  [][]string{{"qmail-start", "./Maildir/"}},
		queue:    []string{"/var/qmail/queue/new"},
		waste:    []string{"/var/qmail/queue/info"},
		sendmail: []string{"/var/qmail/bin/sendmail", "-t", "-i"},
	}
	return p.defaults(y), assign(y, n.mailboxes)
}

// assign tells the suite of so many mailboxes.
func assign(y *yard, mailboxes int) error {
	var users strings.Builder
	for i := range mailboxes {
		fmt.Fprintf(&users, "=u%d:vmail:%d:%d:%s/u%d:::\n", i, mailUID, mailUID, mailRoot, i)
	}
	y.host.WriteFile("/var/qmail/users/assign", users.String()+".\n", 0o644)
	return y.run("qmail-newu")
}

// revision names what is measured.
func revision() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty").Output()
	if err != nil {
		return "of unknown revision"
	}
	return strings.TrimSpace(string(out))
}
