package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/testhost"
)

// peerPackages is where .ci/run has put Debian packages of other mail systems,
// not installed: two of them cannot be on one machine, nor beside ours.
const peerPackages = "/var/cache/postrider-peers"

// TestOtherMailSystemsSendByTLS has Postfix and Exim deliver to the suite; both
// are told not to without TLS.
func TestOtherMailSystemsSendByTLS(t *testing.T) {
	t.Parallel()
	if found, _ := filepath.Glob(peerPackages + "/*.deb"); len(found) < 2 {
		t.Skip("SKIPPED for want of Postfix and Exim: .ci/run puts them into " + peerPackages)
	}
	net := testhost.NewNetwork(t)
	h := mailHost(t, net, "mx1.example", "alice")
	h.GiveKey()
	h.StartSuite()
	peer := net.Host("mx2.example")
	peer.AddUsers("postfix", "postdrop", "Debian-exim")
	for i, c := range []struct {
		name, script string
	}{
		{"postfix", fmt.Sprintf(postfixScript, h.IP)},
		{"exim", fmt.Sprintf(eximScript, h.IP)},
	} {
		result, err := peer.Run(testhost.Within(t, soon), testhost.Command{Argv: []string{"sh", "-ec", c.script}, Stdin: letter("alice", c.name)})
		if err != nil || result.Code != 0 {
			t.Fatalf("%s: %v, %v", c.name, err, result)
		}
		got, err := h.WaitForFiles(testhost.Within(t, soon), "/home/alice/Maildir/new", func(names []string) bool { return len(names) > i })
		if err != nil {
			told, _ := os.ReadFile(peer.Path("/var/log/mail.log"))
			t.Fatalf("%s: %v, %v, %v\n%s\nlog:\n%s", c.name, got, err, result, told, h.Log().Timed(0))
		}
	}
	for _, m := range h.Maildir("alice").Messages() {
		if !strings.Contains(m.Text, "with ESMTPS (TLS1.3 ") {
			t.Errorf("got %s", m.Text)
		}
		t.Logf("%s: %s", m.Header("Subject"), m.Header("Received"))
	}
	peer.Run(testhost.Within(t, soon), testhost.Command{Argv: []string{"postfix", "stop"}})
	h.StopSuite()
}

// unpackPostfix puts Postfix where it expects itself.
const unpackPostfix = `
dpkg -x ` + peerPackages + `/postfix_*.deb /tmp/postfix
cp -a /tmp/postfix/usr/lib/postfix /usr/lib/
cp -a /tmp/postfix/usr/sbin/post* /tmp/postfix/usr/sbin/sendmail /usr/sbin/
cp -a /tmp/postfix/etc/postfix /etc/
cp -a /tmp/postfix/var/spool/postfix /var/spool/
sed 's/^\([a-z]*  *\(inet\|unix\|fifo\)  *[-yn]  *[-yn]  *\)y/\1n/' /tmp/postfix/usr/share/postfix/master.cf.dist > /etc/postfix/master.cf
mkdir -p /var/lib/postfix
chown postfix /var/lib/postfix
`

// postfixScript sends by Postfix.
const postfixScript = `
cat > /tmp/letter
` + unpackPostfix + `
cat > /etc/postfix/main.cf <<EOF
compatibility_level = 3.6
myhostname = mx2.example
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
maillog_file = /var/log/mail.log
alias_maps =
alias_database =
default_database_type = hash
disable_dns_lookups = yes
relayhost = [%s]
smtp_tls_security_level = encrypt
smtp_tls_loglevel = 1
EOF
postfix set-permissions 2>/dev/null || true
postfix start
sendmail -f x@else.example alice@mx1.example < /tmp/letter
`

// eximScript puts Exim where it expects itself, and sends.
const eximScript = `
cat > /tmp/letter
dpkg -x ` + peerPackages + `/exim4-daemon-light_*.deb /tmp/exim
cat > /tmp/exim.conf <<EOF
primary_hostname = mx2.example
spool_directory = /var/spool/exim4
log_file_path = /var/spool/exim4/%%slog
keep_environment =
host_lookup =
disable_ipv6 = true
begin routers
out:
  driver = manualroute
  transport = out
  route_list = * %s
begin transports
out:
  driver = smtp
  hosts_require_tls = *
  tls_verify_hosts =
  tls_try_verify_hosts =
EOF
mkdir -p /var/spool/exim4
chown Debian-exim /var/spool/exim4
cp -a /tmp/exim/usr/sbin/exim4 /usr/sbin/
exim4 -C /tmp/exim.conf -odf -oi -f x@else.example alice@mx1.example < /tmp/letter
cat /var/spool/exim4/mainlog
`
