package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/testhost"
)

// dovecotSieve puts Dovecot with Pigeonhole where it expects itself, and starts
// its LMTP server. What scripts send comes back by SMTP.
const dovecotSieve = `
for deb in ` + peerPackages + `/dovecot-*.deb; do dpkg -x $deb /tmp/dovecot; done
cp -a /tmp/dovecot/usr/lib/dovecot /usr/lib/
cp -a /tmp/dovecot/usr/sbin/dovecot /usr/sbin/
mkdir /tmp/upper /tmp/work
mount -t overlay overlay -o lowerdir=/usr/bin,upperdir=/tmp/upper,workdir=/tmp/work /usr/bin
cp -a /tmp/dovecot/usr/bin/doveconf /usr/bin/
mkdir -p /run/dovecot /etc/dovecot
cat > /etc/dovecot/dovecot.conf <<EOF
protocols = lmtp
log_path = /var/log/dovecot.log
ssl = no
first_valid_uid = 1
auth_username_format = %Ln
mail_location = maildir:~/Maildir
lda_mailbox_autocreate = yes
submission_host = 127.0.0.1:25
postmaster_address = postmaster@mx1.example
protocol lmtp {
  mail_plugins = sieve
}
protocol lda {
  mail_plugins = sieve
}
plugin {
  sieve = file:~/sieve;active=~/.dovecot.sieve
}
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = passwd
}
service lmtp {
  unix_listener lmtp {
    mode = 0666
  }
}
EOF
touch /var/log/dovecot.log
chmod 666 /var/log/dovecot.log
/usr/sbin/dovecot -c /etc/dovecot/dovecot.conf
`

const sieveScript = `require ["fileinto", "vacation", "reject", "envelope"];
if header :contains "subject" "refuse" { reject "Not this one."; stop; }
if header :contains "subject" "pass on" { redirect "ann@mx1.example"; stop; }
if header :contains "subject" "away" { vacation "I am away."; }
if envelope :is "from" "list@else.example" { fileinto "Lists"; }
`

// TestSieve has the scripts of users run by Dovecot's Pigeonhole, which gets their
// mail by LMTP, or by a program of theirs: filed, passed on, answered, refused.
func TestSieve(t *testing.T) {
	t.Parallel()
	if found, _ := filepath.Glob(peerPackages + "/dovecot-sieve*.deb"); len(found) == 0 {
		t.Skip("SKIPPED for want of Dovecot's Sieve: .ci/run puts it into " + peerPackages)
	}
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "joe", "jim", "ann", "dovecot", "dovenull")
	result, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: []string{"sh", "-ec", dovecotSieve}})
	if err != nil || result.Code != 0 {
		t.Fatalf("%v %v", result, err)
	}
	own(h, "joe", ".qmail", "+lmtp unix:/run/dovecot/lmtp\n")
	own(h, "jim", ".qmail", "|/usr/lib/dovecot/dovecot-lda -f \"$SENDER\" -a \"$RECIPIENT\"\n")
	for _, user := range []string{"joe", "jim"} {
		own(h, user, ".dovecot.sieve", sieveScript)
	}
	h.StartSuite()
	dovecotLog := func() string {
		text, err := os.ReadFile(h.Path("/var/log/dovecot.log"))
		return fmt.Sprint(string(text), err)
	}
	for _, user := range []string{"joe", "jim"} {
		to := user + "@mx1.example"
		for _, c := range []struct{ sender, subject string }{
			{"ann@mx1.example", "keep"}, {"list@else.example", "news"}, {"ann@mx1.example", "pass on"},
			{"ann@mx1.example", "away"}, {"ann@mx1.example", "refuse"},
		} {
			sendmail(h, "root", []string{"-f", c.sender, to}, "From: "+c.sender+"\nTo: "+to+"\nSubject: "+c.subject+" "+user+"\n\ntext\n")
		}
	}
	defer func() {
		if t.Failed() {
			t.Logf("Dovecot:\n%s", dovecotLog())
		}
	}()
	waitEmpty(t, h)
	subjects := func(box string) string {
		var all []string
		for _, m := range h.MaildirAt(box).Messages() {
			all = append(all, m.Header("Subject"))
		}
		return strings.Join(all, "|")
	}
	has := func(box string, wanted ...string) {
		t.Helper()
		got := subjects(box)
		for _, want := range wanted {
			if strings.Count(got, want) != 1 {
				t.Errorf("%s has not one %q: %s\n%s", box, want, got, dovecotLog())
			}
		}
		if n := len(strings.Split(got, "|")); n != len(wanted) {
			t.Errorf("%s has %d messages, want %d: %s", box, n, len(wanted), got)
		}
	}
	var answers []string
	for _, user := range []string{"joe", "jim"} {
		has("/home/"+user+"/Maildir", "keep "+user, "away "+user)
		has("/home/"+user+"/Maildir/.Lists", "news "+user)
		answers = append(answers, "pass on "+user, "Auto: away "+user, "Rejected: refuse "+user)
	}
	has("/home/ann/Maildir", answers...)
	h.Must("sh", "-c", "kill $(cat /run/dovecot/master.pid)")
	h.StopSuite()
}
