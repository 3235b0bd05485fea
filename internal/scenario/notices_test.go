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

// TestNoticesAreRead has Python's library read every notice of qmail-send's tests.
func TestNoticesAreRead(t *testing.T) {
	t.Parallel()
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
		out := h.Must("/usr/bin/python3", "-c", noticeReader, "/tmp/notice")
		kind, _, _ := strings.Cut(e.Name(), "-")
		want := map[string]string{"delay": "delay notice: delayed", "success": "success notice: "}[kind]
		if want == "" {
			want = "failure notice: failed"
		}
		if !strings.HasPrefix(out, want) {
			t.Errorf("%s: %q", e.Name(), out)
		}
	}
}
