package scenario

import (
	"path/filepath"
	"testing"

	"postrider/internal/testhost"
)

// TestOtherMailSystemsTakeMailByTLS has the suite deliver to Postfix and Exim,
// and verify their certificates.
func TestOtherMailSystemsTakeMailByTLS(t *testing.T) {
	t.Parallel()
	if found, _ := filepath.Glob(peerPackages + "/*.deb"); len(found) < 2 {
		t.Skip("SKIPPED for want of Postfix and Exim: .ci/run puts them into " + peerPackages)
	}
	net := testhost.NewNetwork(t)
	h := mailHost(t, net, "mx1.example", "alice")
	trusted := ""
	for name, script := range map[string]string{"postfix.example": takingPostfix, "exim.example": takingExim} {
		peer := net.Host(name)
		peer.AddUsers("postfix", "postdrop", "Debian-exim")
		result, err := peer.Run(testhost.Within(t, soon), testhost.Command{Argv: []string{"sh", "-ec", keyPair + script, name}})
		if err != nil || result.Code != 0 {
			t.Fatalf("%s: %v, %v", name, err, result)
		}
		trusted += peer.ReadFile("/tmp/cert.pem")
	}
	h.WriteFile(trustedFile, trusted, 0o644)
	h.Control("tlspolicy", ":verify")
	h.StartSuite()
	expectDelivery(t, h, "postfix.example", "_verify=name;/")
	expectDelivery(t, h, "exim.example", "_verify=name;/")
	h.StopSuite()
}

// keyPair makes a key and its certificate for the name in $0.
const keyPair = `
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=$0 -addext subjectAltName=DNS:$0 -keyout /tmp/key.pem -out /tmp/cert.pem
`

// takingPostfix takes mail, and throws it away.
const takingPostfix = unpackPostfix + `
cat > /etc/postfix/main.cf <<EOF
compatibility_level = 3.6
myhostname = postfix.example
mydestination = postfix.example
inet_protocols = ipv4
maillog_file = /var/log/mail.log
alias_maps =
alias_database =
default_database_type = hash
local_recipient_maps =
local_transport = discard:
smtpd_tls_cert_file = /tmp/cert.pem
smtpd_tls_key_file = /tmp/key.pem
smtpd_tls_security_level = may
EOF
postfix set-permissions 2>/dev/null || true
postfix start
`

// takingExim takes mail, and leaves it in its queue.
const takingExim = `
dpkg -x ` + peerPackages + `/exim4-daemon-light_*.deb /tmp/exim
cat > /tmp/exim.conf <<EOF
primary_hostname = exim.example
spool_directory = /var/spool/exim4
log_file_path = /var/spool/exim4/%slog
keep_environment =
host_lookup =
disable_ipv6 = true
queue_only = true
tls_advertise_hosts = *
tls_certificate = /tmp/cert.pem
tls_privatekey = /tmp/key.pem
acl_smtp_rcpt = takes
begin acl
takes:
  accept
EOF
mkdir -p /var/spool/exim4
chown Debian-exim /var/spool/exim4 /tmp/key.pem
cp -a /tmp/exim/usr/sbin/exim4 /usr/sbin/
exim4 -C /tmp/exim.conf -bd
`
