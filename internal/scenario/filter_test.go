package scenario

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"postrider/internal/testhost"
)

// scanner is a filter as people write them for qmail: it refuses, or hands the
// message on to qmail-queue with a line added.
const scanner = `#!/bin/sh
umask 077
text=$(mktemp) || exit 71
trap 'rm -f "$text"' EXIT
cat > "$text"
if grep -q '^VIRUS' "$text"; then
	printf 'Dthat message holds a virus (#5.7.1)' >&6
	exit 82
fi
grep -q '^REFUSE' "$text" && exit 31
grep -q '^LATER' "$text" && { echo 'Zthe scanner is busy' >&4; exit 88; }
grep -q '^CRASH' "$text" && kill -9 $$
grep -q '^HANG' "$text" && { touch /tmp/hung/here; sleep 1000; }
{
	echo "X-Scanned: for $TCPREMOTEIP who says $SMTPHELOHOST"
	cat "$text"
} > "$text.new"
/var/qmail/bin/qmail-queue < "$text.new"
status=$?
rm -f "$text.new"
exit $status
`

// filteredHost is a host whose clients from the network have a filter, and
// those from itself have not.
func filteredHost(t *testing.T) *testhost.Host {
	t.Helper()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice")
	h.WriteFile("/var/qmail/bin/scan", scanner, 0o755)
	h.Must("mkdir", "-m", "1777", "/tmp/hung")
	h.Control("tcp.smtp", `127.:allow`, `:allow,QMAILQUEUE="bin/scan"`)
	h.Control("timeoutfilter", "2")
	h.StartSuite()
	return h
}

// TestFiltersOfClients sends mail through a filter in all the ways that it can
// answer.
func TestFiltersOfClients(t *testing.T) {
	t.Parallel()
	h := filteredHost(t)
	send := func(text string) error {
		return smtp(testhost.Within(t, soon), h, h, "x@else.example", []string{"alice@mx1.example"}, "Subject: filtered\n\n"+text+"\n")
	}
	large := strings.Repeat(strings.Repeat("0123456789abcdef", 4)+"\n", 25<<14)
	for name, c := range map[string]struct{ text, want string }{
		"passes":      {"hello", ""},
		"25 MB":       {large, ""},
		"virus":       {"VIRUS", "554 5.3.0 that message holds a virus (#5.7.1)"},
		"refused":     {"REFUSE", "554 5.3.0 mail server permanently rejected message (#5.3.0)"},
		"for now":     {"LATER", "451 4.3.0 the scanner is busy"},
		"crashes":     {"CRASH", "451 4.3.0 qq crashed (#4.3.0)"},
		"hangs":       {"HANG", "451 4.3.0 qq timeout (#4.3.0)"},
		"passes last": {"bye", ""},
	} {
		var got string
		var reply *testhost.Reply
		if err := send(c.text); errors.As(err, &reply) {
			got = strings.TrimSpace(reply.Error())
		} else if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	messages := h.Maildir("alice").Wait(testhost.Within(t, soon), 3)
	for _, m := range messages {
		if got, want := m.Header("X-Scanned"), fmt.Sprintf("for %s who says ", h.IP); !strings.HasPrefix(got, want) {
			t.Errorf("X-Scanned is %q", got)
		}
		if want := fmt.Sprintf("invoked by uid %d)", h.UserID("qmailf")); !strings.Contains(m.Text, want) {
			t.Errorf("it was not queued by qmailf:\n%.600s", m.Text)
		}
	}
	for _, p := range h.Find("sleep") {
		t.Errorf("the hung program's child (pid %d) is still there", p.PID)
	}
	waitEmpty(t, h)
	if n := h.Maildir("alice").Count(); n != 3 {
		t.Errorf("%d messages arrived, 3 were accepted", n)
	}
	h.StopSuite()
}

// TestFilterDies kills qmail-filter with a message in hand: it is refused for
// now, and the next one passes a new qmail-filter.
func TestFilterDies(t *testing.T) {
	t.Parallel()
	h := filteredHost(t)
	ended := make(chan error, 1)
	ctx := testhost.Within(t, soon)
	go func() {
		ended <- smtp(ctx, h, h, "x@else.example", []string{"alice@mx1.example"}, "Subject: x\n\nHANG\n")
	}()
	if _, err := h.WaitForFiles(ctx, "/tmp/hung", func(names []string) bool { return len(names) > 0 }); err != nil {
		t.Fatal(err)
	}
	first := h.Log().Len()
	h.Kill(filter, syscall.SIGKILL)
	var reply *testhost.Reply
	if err := <-ended; !errors.As(err, &reply) || reply.Code != 451 {
		t.Errorf("the message in hand: %v", err)
	}
	h.WaitForLog(first, `^qmail-start: qmail-filter started`)
	for {
		err := smtp(ctx, h, h, "x@else.example", []string{"alice@mx1.example"}, "Subject: next\n\nx\n")
		if err == nil {
			break
		}
		if !errors.As(err, &reply) || reply.Code != 451 || ctx.Err() != nil {
			t.Fatalf("after the restart: %v", err)
		}
		pause(ctx) // qmail-smtpd does not say when it has the link
	}
	if got := h.Maildir("alice").Wait(ctx, 1)[0].Header("Subject"); got != "next" {
		t.Errorf("got %q", got)
	}
	h.StopSuite()
}
