package scenario

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"postrider/internal/testhost"
)

var deferred = regexp.MustCompile(`^delivery \d+: deferral: `)

// totals are those of a log, or what they should be.
type totals struct {
	messages, successes, failures, deferrals int
}

// TestLogTotals: who counts in the log, by qmail's lines and from the fields
// where the tools of qmail have always looked, gets what was really sent and
// delivered.
func TestLogTotals(t *testing.T) {
	t.Parallel()
	convert, err := filepath.Glob(peerPackages + "/awstats_*.deb")
	if err != nil || len(convert) == 0 {
		t.Skip("SKIPPED for want of awstats: .ci/run puts it into " + peerPackages)
	}
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice", "busy", "full")
	for user, line := range map[string]string{"busy": "|test -e /home/busy/now || exit 111\n./Maildir/\n", "full": "|exit 100\n"} {
		h.WriteFile("/home/"+user+"/.qmail", line, 0o644)
		h.Chown("/home/"+user+"/.qmail", user)
	}
	h.StartSuite()
	const n = 30
	want := sendDay(t, h, n)
	h.StopSuite()
	log := h.Log().Text(0)

	if got := matchup(t, log); got != want {
		t.Errorf("the log has %+v, the ledger %+v", got, want)
	}
	stamped := &strings.Builder{}
	for i, line := range strings.Split(strings.TrimSuffix(log, "\n"), "\n") {
		fmt.Fprintf(stamped, "Nov 26 10:05:%02d mx1 qmail: %d.%06d %s\n", i*60/(1+strings.Count(log, "\n")), time.Now().Unix(), i, line)
	}
	out := h.MustRun(testhost.Command{Stdin: stamped.String(), Argv: []string{"sh", "-ec",
		"dpkg -x " + convert[0] + " /tmp/awstats; perl /tmp/awstats/usr/share/doc/awstats/examples/maillogconvert.pl standard"}})
	codes, recipients := map[string]int{}, map[string]int{}
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 10 {
			t.Fatalf("awstats says %q", line)
		}
		codes[fields[8]]++
		if fields[8] == "1" {
			recipients[fields[3]]++
		}
	}
	if want := map[string]int{"1": want.successes, "999": want.failures + want.deferrals}; !maps.Equal(codes, want) {
		t.Errorf("awstats counts %v, want %v", codes, want)
	}
	for _, user := range []string{"alice", "busy"} {
		if in := len(h.Maildir(user).Messages()); recipients[user+"@mx1.example"] != in || in == 0 {
			t.Errorf("awstats counts %d messages for %s, who has %d", recipients[user+"@mx1.example"], user, in)
		}
	}
}

// sendDay sends n messages, some of which bounce, or are delivered at a second
// attempt only, and returns what the log must say then.
func sendDay(t *testing.T, h *testhost.Host, n int) (want totals) {
	t.Helper()
	first := h.Log().Len()
	for i := range n {
		recipients := []string{"alice@mx1.example"}
		want.messages++
		want.successes++
		if i%2 == 0 {
			recipients = append(recipients, "busy@mx1.example")
			want.deferrals++
			want.successes++
		}
		if i%3 == 0 {
			recipients = append(recipients, "full@mx1.example")
			want.failures++
			want.messages, want.successes = want.messages+1, want.successes+1 // the bounce, to alice
		}
		if err := smtp(testhost.Within(t, soon), h, h, "alice@mx1.example", recipients, letter("all", fmt.Sprintf("no. %d", i))); err != nil {
			t.Fatal(err)
		}
	}
	// Everything has been tried once when all that does not wait is gone.
	for range want.deferrals {
		_, next, err := h.Log().Wait(testhost.Within(t, soon), first, deferred)
		if err != nil {
			t.Fatal(err)
		}
		first = next
	}
	h.Must("touch", "/home/busy/now")
	for ctx := testhost.Within(t, soon); ; { // again: of some, another recipient was being tried
		if err := h.Suite().Signal(alarm); err != nil {
			t.Fatal(err)
		}
		moment, cancel := context.WithTimeout(ctx, time.Second)
		err := h.WaitForEmptyQueue(moment)
		cancel()
		if err == nil {
			return want
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

// matchup reads a log as qmailanalog does: words between blanks, at the places
// where qmail has them (spec section 2.8). A delivery and a message that have no
// beginning, or no end, are errors.
func matchup(t *testing.T, log string) (got totals) {
	t.Helper()
	messages, deliveries := map[string]bool{}, map[string]string{}
	for _, line := range strings.Split(log, "\n") {
		f := strings.Split("0 "+line, " ")
		switch f[1] {
		case "info":
			got.messages++
			if _, err := strconv.ParseUint(f[5], 10, 64); err != nil || !strings.HasSuffix(f[3], ":") || f[7][0] != '<' || len(f) != 12 {
				t.Errorf("%q", line)
			}
			messages[strings.TrimSuffix(f[3], ":")] = true
		case "starting":
			if len(f) != 9 || !messages[f[5]] || f[7] != "local" && f[7] != "remote" {
				t.Errorf("%q", line)
				continue
			}
			deliveries[f[3]] = f[5]
		case "delivery":
			if len(f) != 5 || deliveries[f[2]] == "" {
				t.Errorf("%q", line)
				continue
			}
			delete(deliveries, f[2])
			switch f[3] {
			case "success:":
				got.successes++
			case "failure:":
				got.failures++
			case "deferral:":
				got.deferrals++
			}
		case "end":
			if !messages[f[3]] {
				t.Errorf("%q", line)
			}
			delete(messages, f[3])
		}
	}
	if len(messages)+len(deliveries) > 0 {
		t.Errorf("no end of %v, %v", messages, deliveries)
	}
	return got
}
