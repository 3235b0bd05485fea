package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
$(for i in $(seq 0 49); do echo "user$i::%[1]d:%[1]d::/var/vmail/user$i::"; done)
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
  inet_listener lmtp {
    address = 127.0.0.1
    port = 24
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

// TestDovecotSharesTransactions gives the recipients of a message to Dovecot in one
// transaction, by control/lmtproutes: each has his own answer. The same message by
// +lmtp, which hands it over once for each and says in it for whom, is there for
// the time that both take.
func TestDovecotSharesTransactions(t *testing.T) {
	t.Parallel()
	if found, _ := filepath.Glob(peerPackages + "/dovecot-*.deb"); len(found) < 2 {
		t.Skip("SKIPPED for want of Dovecot: .ci/run puts it into " + peerPackages)
	}
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "vmail", "ann", "dovecot", "dovenull")
	h.MustRun(testhost.Command{Argv: []string{"sh", "-ec", fmt.Sprintf(dovecotScript, h.UserID("vmail"))}})
	h.Control("virtualdomains", "each.example:vmail")
	own(h, "vmail", ".qmail-default", "+lmtp unix:/run/dovecot/lmtp $DEFAULT@$HOST\n")
	h.Control("lmtproutes", "shared.example:127.0.0.1")
	h.StartSuite()
	n := testhost.Times(t, "messages to 50", 1, 20)
	send := func(to string) time.Duration {
		text := letter("all", "to all") + strings.Repeat(strings.Repeat("x", 75)+"\n", 1<<20/76)
		var recipients []string
		for i := range 50 {
			recipients = append(recipients, fmt.Sprintf("user%d@%s", i, to))
		}
		begun := time.Now()
		for range n {
			sendmail(h, "ann", append([]string{"-f", "ann@mx1.example"}, recipients...), text)
		}
		waitEmpty(t, h)
		return time.Since(begun)
	}
	t.Logf("in one transaction %v, one by one %v", send("shared.example"), send("each.example"))
	shared := 0
	for i := range 50 {
		messages := h.MaildirAt(fmt.Sprintf("/var/vmail/user%d/Maildir", i)).Messages()
		if len(messages) != 2*n {
			t.Errorf("user%d has %d messages, want %d", i, len(messages), 2*n)
		}
		for _, m := range messages {
			if m.Header("Delivered-To") == "" { // nobody hears of the others
				shared++
			}
		}
	}
	// A message of which a part had to wait is sent once more, perhaps for one.
	if shared < 45*n {
		t.Errorf("%d of %d were in a transaction with others", shared, 50*n)
	}
	first := h.Log().Len()
	sendmail(h, "ann", []string{"-f", "ann@mx1.example", "joe@shared.example", "nobody@shared.example", "full@shared.example", "jim@shared.example"}, letter("all", "answers"))
	for to, outcome := range map[string]string{
		"joe": "success: .*127.0.0.1_accepted_message", "jim": "success: .*127.0.0.1_accepted_message",
		"nobody": "failure: .*550_5.1.1_", "full": "failure: .*552_5.2.2_",
	} {
		number := h.WaitForLog(first, `^starting delivery (\d+): msg \d+ to remote `+to+`@shared.example`)[1]
		h.WaitForLog(first, `^delivery `+number+`: `+outcome)
	}
	for _, user := range []string{"joe", "jim"} {
		if n := len(h.MaildirAt("/var/vmail/" + user + "/Maildir").Messages()); n != 1 {
			t.Errorf("%s has %d messages", user, n)
		}
	}
	h.Must("sh", "-c", "kill $(cat /run/dovecot/master.pid)")
	h.StopSuite()
}
