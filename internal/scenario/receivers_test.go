package scenario

import (
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/testhost"
)

// TestOtherMailSystemsReceive sends to Postfix and Exim, which take two
// recipients at a time and nothing but ASCII, and messages as chunks, and to
// OpenSMTPD, which takes all: each recipient gets the message once, in as many
// bits, and only the one that does not exist fails. A large message comes as it is.
func TestOtherMailSystemsReceive(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"postfix_*.deb", "exim4-daemon-light_*.deb", "opensmtpd_*.deb"} {
		if found, _ := filepath.Glob(peerPackages + "/" + pattern); len(found) == 0 {
			t.Skip("SKIPPED for want of Postfix, Exim and OpenSMTPD: .ci/run puts them into " + peerPackages)
		}
	}
	network := testhost.NewNetwork(t)
	h := mailHost(t, network, "mx1.example", "sender")
	h.StartSuite()
	const sevenBit, eightBit = "\n\n=C3=BCber\n", "\n\nüber\n"
	dots := strings.Repeat(".\n..\n.a line that begins with a dot\n", 10000)
	for _, c := range []struct {
		name, script, stop, body string
		chunks                   bool
	}{
		{"postfix", postfixReceiver, "postfix stop", sevenBit, true},
		{"exim", eximReceiver, "kill $(cat /var/spool/exim4/pid)", sevenBit, true},
		{"opensmtpd", opensmtpdReceiver, "kill $(cat /run/smtpd.pid)", eightBit, false},
	} {
		peer := network.Host(c.name + ".example")
		peer.AddUsers("postfix", "postdrop", "Debian-exim", "opensmtpd", "opensmtpq", "alice", "bob", "carol")
		h.Control("smtproutes", c.name+".example:"+peer.IP.String())
		if result, err := peer.Run(testhost.Within(t, soon), testhost.Command{Argv: []string{"sh", "-ec", c.script}}); err != nil || result.Code != 0 {
			t.Fatalf("%s: %v, %v", c.name, err, result)
		}
		var to []string
		for _, user := range []string{"alice", "nobody-here", "bob", "carol"} {
			to = append(to, user+"@"+c.name+".example")
		}
		first := h.Log().Len()
		sendmail(h, "sender", to, "Subject: "+c.name+"\n\nüber\n")
		h.WaitForLog(first, `^end msg \d+$`)
		if got := count(h, first, "_accepted_message."); got != 3 {
			t.Errorf("%s: %d successes\n%s", c.name, got, h.Log().Timed(first))
		}
		h.WaitForLog(first, `^delivery \d+: failure: .*550`)
		for _, user := range []string{"alice", "bob", "carol"} {
			got := peer.Maildir(user).Wait(testhost.Within(t, soon), 1)
			quoted := strings.Contains(got[0].Text, "Content-Transfer-Encoding: quoted-printable\n")
			if len(got) != 1 || quoted != (c.body == sevenBit) || !strings.HasSuffix(got[0].Text, c.body) {
				t.Errorf("%s: %s got %v", c.name, user, got)
			}
		}
		said := h.Must("/var/qmail/bin/qmail-remote", "--explain", "alice@"+c.name+".example")
		if strings.Contains(said, "CHUNKING") != c.chunks {
			t.Errorf("%s: %s", c.name, said)
		}
		sendmail(h, "sender", to[:1], "Subject: large\n\n"+dots)
		got := peer.Maildir("alice").Wait(testhost.Within(t, soon), 2)
		if !strings.HasSuffix(got[0].Text, "\n\n"+dots) && !strings.HasSuffix(got[1].Text, "\n\n"+dots) {
			t.Errorf("%s: a large message has changed", c.name)
		}
		peer.Run(testhost.Within(t, soon), testhost.Command{Argv: []string{"sh", "-c", c.stop}})
	}
	h.StopSuite()
}

// postfixReceiver puts Postfix where it expects itself, and listens.
const postfixReceiver = `
dpkg -x ` + peerPackages + `/postfix_*.deb /tmp/postfix
cp -a /tmp/postfix/usr/lib/postfix /usr/lib/
cp -a /tmp/postfix/usr/sbin/post* /tmp/postfix/usr/sbin/sendmail /usr/sbin/
cp -a /tmp/postfix/etc/postfix /etc/
cp -a /tmp/postfix/var/spool/postfix /var/spool/
sed 's/^\([a-z]*  *\(inet\|unix\|fifo\)  *[-yn]  *[-yn]  *\)y/\1n/' /tmp/postfix/usr/share/postfix/master.cf.dist > /etc/postfix/master.cf
cat > /etc/postfix/main.cf <<EOF
compatibility_level = 3.6
myhostname = postfix.example
mydestination = postfix.example
inet_protocols = ipv4
maillog_file = /var/log/mail.log
alias_maps =
alias_database =
default_database_type = hash
disable_dns_lookups = yes
local_recipient_maps = unix:passwd.byname
home_mailbox = Maildir/
smtpd_recipient_limit = 2
smtpd_discard_ehlo_keywords = 8bitmime
smtpd_relay_restrictions = reject_unauth_destination
smtpd_peername_lookup = no
EOF
mkdir -p /var/lib/postfix
chown postfix /var/lib/postfix
postfix set-permissions 2>/dev/null || true
postfix start
`

// eximReceiver puts Exim where it expects itself, and listens. Only with the file
// that it expects it keeps the right to deliver.
const eximReceiver = `
dpkg -x ` + peerPackages + `/exim4-daemon-light_*.deb /tmp/exim
mkdir -p /etc/exim4
cat > /etc/exim4/exim4.conf <<EOF
primary_hostname = exim.example
spool_directory = /var/spool/exim4
log_file_path = /var/spool/exim4/%slog
pid_file_path = /var/spool/exim4/pid
keep_environment =
host_lookup =
disable_ipv6 = true
rfc1413_query_timeout = 0s
accept_8bitmime = false
recipients_max = 2
acl_smtp_rcpt = rcpt
begin acl
rcpt:
  accept domains = exim.example
         verify = recipient
  deny message = no such mailbox
begin routers
users:
  driver = accept
  check_local_user
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = /home/\$local_part_data/Maildir
  maildir_format
  create_directory
EOF
mkdir -p /var/spool/exim4
chown Debian-exim /var/spool/exim4
cp -a /tmp/exim/usr/sbin/exim4 /usr/sbin/
exim4 -bd -oX 25 -q1m
`

// opensmtpdReceiver puts OpenSMTPD where it expects itself, and listens. The
// process that it answers with is its parent's.
const opensmtpdReceiver = `
dpkg -x ` + peerPackages + `/opensmtpd_*.deb /tmp/opensmtpd
cp -a /tmp/opensmtpd/usr/. /usr/
mkdir -p /var/lib/opensmtpd/empty /var/spool/smtpd
chmod 711 /var/spool/smtpd
cat > /etc/smtpd.conf <<EOF
listen on 0.0.0.0 port 25 hostname opensmtpd.example
action "local" maildir
match from any for domain "opensmtpd.example" action "local"
EOF
echo opensmtpd.example > /etc/mailname
smtpd -n
smtpd -F >/var/log/smtpd 2>&1 </dev/null &
echo $! > /run/smtpd.pid
python3 - <<EOF
import socket, time
for i in range(600):
    try:
        socket.create_connection(("127.0.0.1", 25)).close()
        break
    except OSError:
        time.sleep(0.1)
else:
    raise SystemExit("OpenSMTPD does not listen")
EOF
`
