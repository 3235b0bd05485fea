package scenario

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"postrider/internal/testhost"
)

// A caller is a program of Debian that starts sendmail, and what it sends.
type caller struct {
	name   string // the subject, too
	script string // run by bob with sh; the message goes to alice
	sender string // in the envelope; empty if that depends on the machine
	from   string // the From field has this
	body   string // so does the body
}

const (
	ofBob  = "bob@mx1.example"
	ofBoss = "boss@else.example"
)

// callers are the programs, each in the way in which it calls sendmail by
// itself: options, environment, line ends.
var callers = []caller{
	{"mutt", `echo "hello from mutt" | mutt -F /dev/null -s mutt -- alice@mx1.example`, ofBob, ofBob, "hello from mutt\n"},
	{"mutt-sender", `echo hello | mutt -F /dev/null -e 'set use_envelope_from; set from=boss@else.example; set dsn_notify=failure,delay; set dsn_return=hdrs' ` +
		`-s mutt-sender -- alice@mx1.example`, ofBoss, ofBoss, "hello\n"},
	{"bsd-mailx", `printf 'hello\n.\nmore\n' | /tmp/mailx/usr/bin/bsd-mailx -s bsd-mailx alice@mx1.example`, ofBob, ofBob, "hello\n.\nmore\n"},
	{"s-nail", `echo hello | s-nail -:/ -s s-nail alice@mx1.example`, ofBob, ofBob, "hello\n"},
	{"s-nail-sender", `echo hello | s-nail -:/ -r boss@else.example -s s-nail-sender alice@mx1.example`, ofBoss, ofBoss, "hello\n"},
	{"git", `
		mkdir -p /tmp/git/repo && cd /tmp/git/repo && git init -q && git config user.name Bob && git config user.email bob@mx1.example && echo x > x && git add x && git commit -q -m git && git format-patch -q -1
		git send-email --quiet --confirm=never --suppress-cc=all --no-thread --no-xmailer --subject-prefix= --to=alice@mx1.example *.patch`,
		ofBob, "Bob <bob@mx1.example>", "+++ b/x\n@@ -0,0 +1 @@\n+x\n"},
	{"git-sender", `
		cd /tmp/git/repo && git commit -q --amend -m git-sender && rm *.patch && git format-patch -q -1
		git send-email --quiet --confirm=never --suppress-cc=all --envelope-sender=boss@else.example --from=bob@mx1.example --to=alice@mx1.example *.patch`,
		ofBoss, ofBob, "+x\n"},
	{"php", `php -n -r 'exit(mail("alice@mx1.example", "php", "hello\nyou\n", "From: Bob <bob@mx1.example>\r\nX-A: b") ? 0 : 1);'`,
		ofBob, "Bob <bob@mx1.example>", "hello\nyou\n"},
	{"php-sender", `php -n -r 'exit(mail("alice@mx1.example", "php-sender", "hello\n", "", "-fboss@else.example") ? 0 : 1);'`,
		ofBoss, ofBoss, "hello\n"},
	{"python", `python3 -c '
import email.message, email.policy, subprocess
m = email.message.EmailMessage()
m["From"], m["To"], m["Subject"] = "bob", "alice@mx1.example", "python"
m.set_content("hello\n.\nm\u00f6re\n", cte="8bit")
subprocess.run(["/usr/sbin/sendmail", "-t", "-oi"], input=m.as_bytes(policy=email.policy.SMTP), check=True)'`,
		ofBob, ofBob, "hello\n.\nm\u00f6re\n"},
	{"python-smtp", `python3 -c '
import smtplib
with smtplib.SMTP("localhost") as s:
    s.sendmail("boss@else.example", ["alice@mx1.example"], "From: boss@else.example\nSubject: python-smtp\n\nhello\n")'`,
		ofBoss, ofBoss, "hello\n"},
	{"perl-sender", `perl -e '
use Email::Sender::Simple qw(sendmail); use Email::Sender::Transport::Sendmail; use Email::Simple;
my $m = Email::Simple->create(header => [From => "Bob <bob\@mx1.example>", To => "alice\@mx1.example", Subject => "perl-sender"], body => "hello\n.\n");
sendmail($m, {from => "boss\@else.example", transport => Email::Sender::Transport::Sendmail->new});'`,
		ofBoss, "Bob <bob@mx1.example>", "hello\n.\n"},
	{"perl-pipe", `perl -e '
open(my $s, "|-", "/usr/sbin/sendmail", "-oi", "-t", "-odq", "-oem") or die;
print $s "From: bob\nTo: alice\@mx1.example\nSubject: perl-pipe\n\nhello\n";
close($s) or die "sendmail: $?";'`, ofBob, ofBob, "hello\n"},
	{"mailsubj", `echo hello | mailsubj mailsubj alice@mx1.example`, ofBob, ofBob, "hello\n"},
	{"datemail", `printf 'To: alice\nSubject: datemail\n\nhello\n' | datemail -t`, ofBob, ofBob, "hello\n"},
	{"smtp", `printf 'EHLO me\r\nMAIL FROM:<boss@else.example>\r\nRCPT TO:<alice@mx1.example>\r\nDATA\r\nSubject: smtp\r\nFrom: bob@mx1.example\r\n\r\n..hello\r\n.\r\nQUIT\r\n' |
		sendmail -bs | grep -c '^250 [^-]' | grep -qx 4`, ofBoss, ofBob, ".hello\n"},
}

// cronTable has one job, which cron does at its start and whose output it
// sends.
const cronTable = `PATH=/usr/bin:/bin
MAILTO=alice@mx1.example
@reboot bob echo hello from cron
`

// TestCallers has programs of Debian send mail in their own way. Each message
// arrives as it was sent, from who sends it.
func TestCallers(t *testing.T) {
	t.Parallel()
	if found, _ := filepath.Glob(peerPackages + "/bsd-mailx_*.deb"); len(found) == 0 {
		t.Skip("SKIPPED for want of bsd-mailx and other callers: .ci/run installs them")
	}
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice", "bob")
	h.StartSuite()
	h.Must("sh", "-ec", "dpkg -x "+peerPackages+"/bsd-mailx_*.deb /tmp/mailx && chmod -R a+rX /tmp/mailx")
	for _, c := range callers {
		h.MustRun(testhost.Command{Argv: []string{"sh", "-ec", c.script}, User: "bob"})
	}
	h.WriteFile("/etc/cron.d/job", cronTable, 0o644)
	cron, err := h.Start(testhost.Command{Argv: []string{"cron", "-f"}, Files: nullFiles(t)})
	if err != nil {
		t.Fatal(err)
	}
	messages := make(map[string]testhost.Message)
	for _, m := range h.Maildir("alice").Wait(testhost.Within(t, soon), len(callers)+1) {
		subject := strings.TrimPrefix(m.Header("Subject"), "[PATCH] ")
		if strings.HasPrefix(subject, "Cron ") {
			subject = "cron"
		}
		messages[subject] = m
	}
	for _, c := range append(callers, caller{name: "cron", from: "Cron Daemon", body: "hello from cron\n"}) {
		m, found := messages[c.name]
		if !found {
			t.Errorf("%s has sent nothing", c.name)
			continue
		}
		sent := m.Header("Return-Path") == "<"+c.sender+">" || c.sender == "" // whom cron runs it as
		if !sent || !strings.Contains(m.Header("From"), c.from) || !strings.Contains(m.Body(), c.body) ||
			m.Header("Delivered-To") != "alice@mx1.example" || m.Header("Bcc") != "" || strings.Contains(m.Text, "\r") {
			t.Errorf("%s: got\n%s", c.name, m.Text)
		}
	}
	if err := cron.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	h.StopSuite()
}

// nullFiles are descriptors 0, 1 and 2 of a daemon.
func nullFiles(t *testing.T) []*os.File {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { null.Close() })
	return []*os.File{null, null, null}
}

// TestSessionOfAUser: sendmail -bs relays for whoever starts it, in its rights,
// and refuses what any server refuses.
func TestSessionOfAUser(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	h := mailHost(t, net, "mx1.example", "alice", "bob")
	remote := net.Host("remote.example")
	sink := remote.Sink(":25", nil)
	h.StartSuite()
	const session = "EHLO me\r\nMAIL FROM:<bob@mx1.example>\r\nRCPT TO:<x@remote.example>\r\nRCPT TO:<alice@mx1.example>\r\n" +
		"DATA\r\nSubject: relayed\r\n\r\nhello\r\n.\r\nNOPE\r\nQUIT\r\n"
	result := h.MustRun(testhost.Command{Argv: []string{"/usr/sbin/sendmail", "-bs"}, User: "bob", Stdin: session})
	m := h.Maildir("alice").Wait(testhost.Within(t, soon), 1)[0]
	if m.Header("Return-Path") != "<bob@mx1.example>" || !strings.Contains(m.Text, "(sendmail-bs@127.0.0.1)") || m.Body() != "hello\n" {
		t.Errorf("got %s", m.Text)
	}
	if got := sink.Wait(testhost.Within(t, soon), 1)[0]; !strings.Contains(got.Text, "Subject: relayed") {
		t.Errorf("the other host got %q", got.Text)
	}
	if !strings.HasPrefix(result, "220 ") || !strings.Contains(result, "\n502 ") || !strings.Contains(result, "\n221 ") {
		t.Errorf("the session was %q", result)
	}
	h.StopSuite()
}
