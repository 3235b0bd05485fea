package scenario

import (
	"os"
	"strings"
	"testing"

	"postrider/internal/testhost"
)

// noticeReader reads a notice as a program for bounces does (RFC 3464): it fails
// for whatever the parsers of Python's library complain of.
const noticeReader = `import sys, email, email.policy, email.utils
m = email.message_from_binary_file(open(sys.argv[1], "rb"), policy=email.policy.default)
for part in m.walk():
    assert not part.defects, (part.get_content_type(), part.defects)
assert m.get_content_type() == "multipart/report" and m.get_param("report-type") == "delivery-status", m["Content-Type"]
assert m["Auto-Submitted"] == "auto-replied" and m["MIME-Version"] == "1.0"
assert email.utils.parsedate_to_datetime(m["Date"]) and len(m["To"].addresses) == 1 and len(m["From"].addresses) == 1
text, status, returned = m.iter_parts()
assert text.get_content_type() == "text/plain" and "mail server at me.example.org" in text.get_content()
assert status.get_content_type() == "message/delivery-status"
about, *recipients = status.get_payload()
assert about["Reporting-MTA"] == "dns; me.example.org" and email.utils.parsedate_to_datetime(about["Arrival-Date"])
assert recipients
for r in recipients:
    kind, address = r["Final-Recipient"].split(";", 1)
    assert kind in ("rfc822", "utf-8") and "@" in address, address
    assert r["Status"].split(".")[0] == {"failed": "5", "delayed": "4", "delivered": "2", "relayed": "2"}[r["Action"]], r.items()
    assert email.utils.parsedate_to_datetime(r["Last-Attempt-Date"])
    assert ("Will-Retry-Until" in r) == (r["Action"] == "delayed")
assert returned.get_content_type() in ("message/rfc822", "message/global", "text/rfc822-headers"), returned.get_content_type()
print(m["Subject"] + ":", " ".join(r["Action"] for r in recipients))
`

// bounceParser is what programs for lists use to find out who is gone: whether
// it is a bounce, and about whom.
const bounceParser = `use Mail::DeliveryStatus::BounceParser;
open my $in, "<", $ARGV[0] or die $!;
my $b = Mail::DeliveryStatus::BounceParser->new($in);
print $b->is_bounce ? "bounce" : "none", map({ " " . $_->get("email") } $b->reports), "\n";
`

// muttReader has mutt, on a terminal, show the one message of a mailbox.
const muttReader = `import os, pty, sys
open("/tmp/muttrc", "w").write("""set folder=/tmp
set record=
set pipe_decode=yes
set wait_key=no
set quit=yes
folder-hook . 'push "<pipe-message>cat >/tmp/shown<enter><exit>"'
""")
text = open(sys.argv[1], "rb").read()
open("/tmp/mbox", "wb").write(b"From MAILER-DAEMON Sun Nov 22 00:37:36 2026\n" + text)
pid, terminal = pty.fork()
if pid == 0:
    os.environ.update(TERM="vt100", LANG="C.UTF-8", HOME="/tmp")
    os.execvp("mutt", ["mutt", "-n", "-F", "/tmp/muttrc", "-R", "-f", "/tmp/mbox"])
try:
    while os.read(terminal, 4096):
        pass
except OSError:
    pass # mutt has ended
os.waitpid(pid, 0)
sys.stdout.write(open("/tmp/shown").read())
`

// eachNotice calls check with every notice of qmail-send's tests, as a file on a
// host, and its kind.
func eachNotice(t *testing.T, check func(h *testhost.Host, name, kind, path string)) {
	t.Helper()
	const dir = "../../qmail-send/testdata/notices/"
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) < 11 {
		t.Fatal(len(entries), err)
	}
	h := testhost.NewNetwork(t).Host("mx1.example")
	for _, e := range entries {
		text, err := os.ReadFile(dir + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		h.WriteFile("/tmp/notice", string(text), 0o644)
		kind, _, _ := strings.Cut(e.Name(), "-")
		check(h, e.Name(), kind, "/tmp/notice")
	}
}

// TestNoticesAreRead has Python's library read every notice.
func TestNoticesAreRead(t *testing.T) {
	t.Parallel()
	eachNotice(t, func(h *testhost.Host, name, kind, path string) {
		out := h.Must("/usr/bin/python3", "-c", noticeReader, path)
		want := map[string]string{"delay": "delay notice: delayed", "success": "success notice: "}[kind]
		if want == "" {
			want = "failure notice: failed"
		}
		if !strings.HasPrefix(out, want) {
			t.Errorf("%s: %q", name, out)
		}
	})
}

// TestBounceParser has a parser of delivery status notifications of others say
// which notices are bounces, and whom they are about.
func TestBounceParser(t *testing.T) {
	t.Parallel()
	about := map[string]string{
		"expired": " z@rem.org", "operator": " z@rem.org", "failure": " d1@rem.org d2@rem.org", "failure-envelope": " o+o@x.org",
		"failure-quoted": ` "d e"@rem.org`, "failure-utf8": ` d\x{F6}rte@rem.org`,
	}
	eachNotice(t, func(h *testhost.Host, name, kind, path string) {
		want := "none"
		if kind != "delay" && kind != "success" {
			want = "bounce d@rem.org"
			if whom := about[name]; whom != "" {
				want = "bounce" + whom
			}
		}
		if out := h.Must("/usr/bin/perl", "-e", bounceParser, path); strings.TrimSpace(out) != want {
			t.Errorf("%s: %q, want %q", name, out, want)
		}
	})
}

// TestNoticesInMutt has mutt show every notice as a person sees it.
func TestNoticesInMutt(t *testing.T) {
	t.Parallel()
	says := map[string]string{"delay": "has not been delivered yet", "success": "deliver"}
	eachNotice(t, func(h *testhost.Host, name, kind, path string) {
		out := h.Must("/usr/bin/python3", "-c", muttReader, path)
		want := says[kind]
		if want == "" {
			want = "could not be delivered"
		}
		for _, words := range []string{"From: ", "This is the mail server at me.example.org.", want, "Final-Recipient: "} {
			if !strings.Contains(out, words) {
				t.Errorf("%s: mutt does not show %q:\n%s", name, words, out)
			}
		}
		if strings.Contains(out, "BOUNDARY") || strings.Contains(out, "This is the qmail-send program") {
			t.Errorf("%s: mutt shows what is for programs:\n%s", name, out)
		}
	})
}
