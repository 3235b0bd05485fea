package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"postrider/internal/testhost"
)

// dovecotIMAP puts Dovecot where it expects itself, and starts IMAP, and LMTP, for
// the user joe, with a quota.
const dovecotIMAP = `
for deb in ` + peerPackages + `/dovecot-*.deb; do dpkg -x $deb /tmp/dovecot; done
cp -a /tmp/dovecot/usr/lib/dovecot /usr/lib/
cp -a /tmp/dovecot/usr/sbin/dovecot /usr/sbin/
mkdir /tmp/upper /tmp/work
mount -t overlay overlay -o lowerdir=/usr/bin,upperdir=/tmp/upper,workdir=/tmp/work /usr/bin
cp -a /tmp/dovecot/usr/bin/doveconf /usr/bin/
mkdir -p /run/dovecot /etc/dovecot
echo 'joe:{PLAIN}secret:%[1]d:%[1]d::/home/joe::' > /etc/dovecot/users
cat > /etc/dovecot/dovecot.conf <<EOF
protocols = imap lmtp
listen = 127.0.0.1
log_path = /var/log/dovecot.log
ssl = no
disable_plaintext_auth = no
first_valid_uid = 1
auth_username_format = %%Ln
mail_location = maildir:~/Maildir
mail_plugins = quota
protocol imap {
  mail_plugins = quota imap_quota
}
namespace inbox {
  inbox = yes
  separator = .
}
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
  quota_rule = *:bytes=1G:messages=100000
}
service imap-login {
  inet_listener imaps {
    port = 0
  }
}
service lmtp {
  unix_listener lmtp {
    mode = 0666
  }
}
EOF
/usr/sbin/dovecot -c /etc/dovecot/dovecot.conf
`

// pythonIMAP waits in IDLE, in one mailbox after the other, until it is told of
// as many messages as it wants, and says each message that is there then.
const pythonIMAP = `
import imaplib, re, sys

def connect(box):
    c = imaplib.IMAP4("127.0.0.1")
    c.login("joe", "secret")
    status, count = c.select(box)
    return c, int(count[0])

for box, want in (argument.split("=") for argument in sys.argv[1:]):
    c, have = connect(box)
    c.send(b"i IDLE\r\n")
    while have < int(want):
        line = c.readline()
        if not line:
            sys.exit("connection closed")
        told = re.match(rb"\* (\d+) EXISTS", line)
        if told:
            have = int(told.group(1))
    c.shutdown()
    c, have = connect(box)
    status, parts = c.fetch("1:*", "(UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    if status != "OK":
        sys.exit("fetch: " + status)
    for part in parts:
        if isinstance(part, tuple):
            print(box, part[1].decode().split(":", 1)[1].strip())
    print("quota", c.getquotaroot("INBOX")[1][1][0].decode())
    c.logout()
`

var (
	usage     = regexp.MustCompile(`MESSAGE (\d+) 100000`)
	complaint = regexp.MustCompile(`(?i)error|warning|panic|fatal|corrupt|broken`)
)

// Dovecot reads mailboxes while many messages arrive at once, of ours in its
// Maildirs, and of its own by LMTP: each is there once, it is told to a client that
// waits, the quota counts all of them, and Dovecot has nothing to complain about.
func TestDovecotReads(t *testing.T) {
	t.Parallel()
	if found, _ := filepath.Glob(peerPackages + "/dovecot-imapd*.deb"); len(found) == 0 {
		t.Skip("SKIPPED for want of Dovecot's IMAP: .ci/run puts it into " + peerPackages)
	}
	messages := 1000
	if testhost.Long() {
		messages = 10000
	}
	for _, c := range []struct {
		name, delivery string
		folder         bool // every fourth message is for it
	}{
		{"Maildir", "./Maildir/", true},
		{"LMTP", "+lmtp unix:/run/dovecot/lmtp", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "joe", "dovecot", "dovenull")
			own(h, "joe", ".qmail-work", "./Maildir/.Work/\n")
			h.Must("sh", "-ec", "for d in tmp new cur; do mkdir -p /home/joe/Maildir/.Work/$d; done; touch /home/joe/Maildir/.Work/maildirfolder;"+
				"printf '1073741824S,100000C\\n' > /home/joe/Maildir/maildirsize; chown -R joe:joe /home/joe/Maildir")
			result, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: []string{"sh", "-ec", fmt.Sprintf(dovecotIMAP, h.UserID("joe"))}})
			if err != nil || result.Code != 0 {
				t.Fatalf("%v %v", result, err)
			}
			h.StartSuiteWith(c.delivery)
			boxes := []string{fmt.Sprint("INBOX=", messages)}
			if c.folder {
				boxes = []string{fmt.Sprint("INBOX=", messages-messages/4), fmt.Sprint("Work=", messages/4)}
			}
			var read testhost.Result
			var all sync.WaitGroup
			all.Go(func() {
				var err error
				argv := append([]string{"/usr/bin/python3", "-c", pythonIMAP}, boxes...)
				if read, err = h.Run(testhost.Within(t, 5*soon), testhost.Command{Argv: argv}); err != nil {
					t.Error(err)
				}
			})
			sendAtOnce(t, h, messages, c.folder)
			all.Wait()
			judgeIMAP(t, h, read, messages)
			h.Must("sh", "-c", "kill $(cat /run/dovecot/master.pid)")
			h.StopSuite()
		})
	}
}

// sendAtOnce sends messages to joe over some connections, every fourth to his
// folder if he has one.
func sendAtOnce(t *testing.T, h *testhost.Host, messages int, folder bool) {
	t.Helper()
	const connections = 8
	var all sync.WaitGroup
	for first := range connections {
		all.Go(func() {
			c, err := h.SMTP(testhost.Within(t, 5*soon), h.IP.String()+":25")
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for i := first; i < messages; i += connections {
				to := "joe@mx1.example"
				if folder && i%4 == 3 {
					to = "joe-work@mx1.example"
				}
				if err := c.Send("x@else.example", []string{to}, letter(to, fmt.Sprintf("m%d", i))); err != nil {
					t.Error(err)
					return
				}
			}
			if err := c.Quit(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// inFlight is how many deliveries into Maildirs there are at a time.
const inFlight = 200

// checkUsage compares what Dovecot says of the quota. Messages that are there but
// not written down yet when a mailbox is added up count twice, in Dovecot's own
// deliveries as in ours; adding up once more mends that.
func checkUsage(t *testing.T, quota string, messages, tolerance int) {
	t.Helper()
	m := usage.FindStringSubmatch(quota)
	if m == nil {
		t.Errorf("quota: %q", quota)
		return
	}
	if n, err := strconv.Atoi(m[1]); err != nil || n < messages-tolerance || n > messages+tolerance {
		t.Errorf("the quota counts %s messages, want %d", m[1], messages)
	}
}

// judgeIMAP looks at what the client has read, and at what Dovecot has logged.
func judgeIMAP(t *testing.T, h *testhost.Host, read testhost.Result, messages int) {
	t.Helper()
	waitEmpty(t, h)
	seen := make(map[string]int)
	var quota string
	for line := range strings.Lines(read.Stdout) {
		box, subject, _ := strings.Cut(strings.TrimSpace(line), " ")
		if box == "quota" {
			quota = subject
			continue
		}
		seen[subject]++
	}
	wrong := 0
	for i := range messages {
		if n := seen[fmt.Sprintf("m%d", i)]; n != 1 {
			wrong++
			t.Logf("m%d was read %d times", i, n)
		}
	}
	if wrong > 0 || read.Code != 0 || len(seen) != messages {
		t.Errorf("%d messages were not read once; %d subjects; code %d\n%s", wrong, len(seen), read.Code, read.Stderr)
	}
	checkUsage(t, quota, messages, inFlight)
	h.Must("rm", "/home/joe/Maildir/maildirsize")
	again := h.MustRun(testhost.Command{Argv: []string{"/usr/bin/python3", "-c", pythonIMAP, "INBOX=1"}})
	checkUsage(t, again[strings.LastIndex(again, "quota "):], messages, 0)
	told, err := os.ReadFile(h.Path("/var/log/dovecot.log"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(told)) {
		if complaint.MatchString(line) {
			t.Errorf("Dovecot: %s", line)
		}
	}
}
