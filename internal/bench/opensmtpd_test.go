package bench

import (
	"fmt"
	"strings"
)

// smtpdConf makes OpenSMTPD deliver and relay as mainCF does with Postfix.
const smtpdConf = `table vusers file:/etc/vusers
smtp max-message-size "100M"
smtp limit max-rcpt 2000
smtp limit max-mails 10000
scheduler limit max-inflight 10000
mda limit max-session 100
scheduler limit max-schedule 100
mda limit max-session-per-user 30
mta limit max-conn-per-host 50
mta limit max-conn-per-route 50
mta limit max-conn-per-connector 50
mta limit conn-delay-route 0
mta limit conn-delay-relay 0
mta limit reconn-delay-route 0
mta limit session-mail-max 10000
mta limit task-hiwat 5000
mta limit task-lowat 3000
mta limit task-release 1000
listen on 127.0.0.1 port 25 hostname bench.test
listen on socket
action "local" maildir "/srv/mail/%{user.username}/Maildir" userbase <vusers>
action "dead" relay host "smtp+notls://127.0.0.3:2526"
action "remote" relay host "smtp+notls://127.0.0.2:2526"
match from any for domain "local.test" action "local"
match from any for domain "dead.test" action "dead"
match from any for any action "remote"
`

// rsyslogConf: OpenSMTPD logs by syslog only, so that its log needs a daemon.
const rsyslogConf = `module(load="imuxsock")
$ActionFileDefaultTemplate RSYSLOG_TraditionalFileFormat
*.* -/var/log/mail/mail.log
`

func newOpenSMTPD(y *yard, mailboxes int) (*peer, error) {
	inside, err := tree(y.t, "opensmtpd", "opensmtpd", "rsyslog")
	if err != nil {
		return nil, err
	}
	root, err := y.plant("opensmtpd", inside)
	if err != nil {
		return nil, err
	}
	var users strings.Builder
	for i := range mailboxes {
		fmt.Fprintf(&users, "u%d %d:%d:%s/u%d\n", i, mailUID, mailUID, mailHome, i)
	}
	y.host.WriteFile(root+"/etc/vusers", users.String(), 0o644)
	y.host.WriteFile(root+"/etc/smtpd.conf", smtpdConf, 0o644)
	y.host.WriteFile(root+"/etc/rsyslog.conf", rsyslogConf, 0o644)
	y.host.WriteFile(root+"/etc/resolv.conf", "lookup file\nnameserver 127.0.0.1\n", 0o644)
	for _, argv := range [][]string{{"mkdir", "-p", root + "/var/log/mail"}, {"chroot", root, "smtpd", "-n"}} {
		if err := y.run(argv...); err != nil {
			return nil, err
		}
	}
	p := &peer{
		name: opensmtpd, version: y.version(root, "opensmtpd"), root: root,
		// A pid file that is left makes rsyslogd refuse.
		daemons:  [][]string{{"sh", "-c", "rm -f /run/rsyslogd.pid && exec rsyslogd"}, {"smtpd"}},
		queue:    dirs(root+"/var/spool/smtpd/", "queue incoming"),
		waste:    append(dirs(root+"/var/spool/smtpd/", "corrupt temporary purge"), root+"/var/log/mail"),
		sendmail: []string{"/usr/sbin/sendmail", "-t", "-i"},
		// It listens with a backlog of 5: more connections at a time meet
		// retransmissions of SYN, which take seconds.
		sessions: 5,
	}
	return p.defaults(y), nil
}
