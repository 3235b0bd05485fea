package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/testhost"
)

// dovecotScript puts Dovecot where it expects itself, and starts its LMTP server.
// full has no room.
const dovecotScript = `
for deb in ` + peerPackages + `/dovecot-*.deb; do dpkg -x $deb /tmp/dovecot; done
cp -a /tmp/dovecot/usr/lib/dovecot /usr/lib/
cp -a /tmp/dovecot/usr/sbin/dovecot /usr/sbin/
mkdir /tmp/upper /tmp/work
mount -t overlay overlay -o lowerdir=/usr/bin,upperdir=/tmp/upper,workdir=/tmp/work /usr/bin
cp -a /tmp/dovecot/usr/bin/doveconf /usr/bin/
mkdir -p /var/vmail /run/dovecot /etc/dovecot
chown %[1]d:%[1]d /var/vmail
cat > /etc/dovecot/users <<EOF
joe::%[1]d:%[1]d::/var/vmail/joe::
jim::%[1]d:%[1]d::/var/vmail/jim::
full::%[1]d:%[1]d::/var/vmail/full::userdb_quota_rule=*:bytes=10
EOF
cat > /etc/dovecot/dovecot.conf <<EOF
protocols = lmtp
log_path = /var/log/dovecot.log
ssl = no
first_valid_uid = 1
auth_username_format = %%Ln
mail_location = maildir:~/Maildir
mail_plugins = quota
passdb {
  driver = passwd-file
  args = /etc/dovecot/users
}
userdb {
  driver = passwd-file
  args = /etc/dovecot/users
}
plugin {
  quota = maildir:mailbox
}
service lmtp {
  unix_listener lmtp {
    mode = 0666
  }
}
EOF
/usr/sbin/dovecot -c /etc/dovecot/dovecot.conf
`

// TestDovecotDelivers hands mail to Dovecot by LMTP, for a user of the machine and
// for a virtual domain: what it says is what becomes of the mail.
func TestDovecotDelivers(t *testing.T) {
	t.Parallel()
	if found, _ := filepath.Glob(peerPackages + "/dovecot-*.deb"); len(found) < 2 {
		t.Skip("SKIPPED for want of Dovecot: .ci/run puts it into " + peerPackages)
	}
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "joe", "vmail", "dovecot", "dovenull")
	result, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: []string{"sh", "-ec", fmt.Sprintf(dovecotScript, h.UserID("vmail"))}})
	if err != nil || result.Code != 0 {
		t.Fatalf("%v %v", result, err)
	}
	h.Control("virtualdomains", "virt.example:vmail")
	h.Control("rcpthosts", "mx1.example", "virt.example")
	own(h, "vmail", ".qmail-default", "+lmtp unix:/run/dovecot/lmtp $DEFAULT@$HOST\n")
	h.StartSuiteWith("+lmtp unix:/run/dovecot/lmtp")
	// Bounces are deliveries too.
	expect := func(to, outcome string) {
		t.Helper()
		first := h.Log().Len()
		sendmail(h, "root", []string{"-f", "s@else.example", to}, letter(to, to))
		number := h.WaitForLog(first, `^starting delivery (\d+): msg \d+ to local \S*`+to)[1]
		match := h.WaitForLog(first, `^delivery `+number+`: (.*)$`)
		if got := match[1]; !strings.HasPrefix(got, outcome) {
			told, _ := os.ReadFile(h.Path("/var/log/dovecot.log"))
			t.Errorf("got %s, want %s\n%s", got, outcome, told)
		}
	}
	for _, c := range []struct{ to, outcome string }{
		{"joe", "success: did_1+0+0/"},
		{"jim@virt.example", "success: did_1+0+0/"},
		{"joe@virt.example", "success: did_1+0+0/"},
		{"nobody@virt.example", "failure: LMTP_server_said:_550_5.1.1_"},
		{"full@virt.example", "failure: LMTP_server_said:_552_5.2.2_"},
	} {
		expect(c.to, c.outcome)
	}
	for user, n := range map[string]int{"joe": 2, "jim": 1} {
		got := h.MaildirAt("/var/vmail/" + user + "/Maildir").Messages()
		if len(got) != n || got[0].Header("Return-Path") != "<s@else.example>" {
			t.Errorf("%s: got %v", user, got)
		}
	}
	h.Must("sh", "-c", "kill $(cat /run/dovecot/master.pid)")
	h.Must("rm", "-f", "/run/dovecot/lmtp")
	expect("joe", "deferral: Unable_to_deliver_by_LMTP:_")
	h.StopSuite()
}
