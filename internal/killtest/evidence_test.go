package killtest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postrider/internal/ledger"
	"postrider/internal/testhost"
)

// collect gathers what an epoch left on a host whose suite has stopped, and
// takes it away.
func collect(t *testing.T, l *ledger.Ledger, h *site, firstLine int) ledger.Evidence {
	t.Helper()
	e := collectResting(t, l, h, firstLine)
	e.Leftovers = append(e.Leftovers, strays(h.Host)...)
	return e
}

// collectResting does so at rest: the suite may run.
func collectResting(t *testing.T, l *ledger.Ledger, h *site, firstLine int) ledger.Evidence {
	t.Helper()
	var e ledger.Evidence
	for _, user := range append([]string{"load"}, boxes...) {
		for _, sub := range []string{"new", "tmp"} {
			files(t, h.Host, filepath.Join("/home", user, "Maildir", sub), func(name, text string, when time.Time) {
				if sub == "new" { // what a kill left in tmp is nobody's mail
					e.Deliveries = append(e.Deliveries, delivery(name, text, when))
				}
			})
		}
	}
	files(t, h.Host, "/home/prog/got", func(name, text string, when time.Time) {
		if strings.HasSuffix(name, ".whole") {
			e.Deliveries = append(e.Deliveries, delivery(name, text, when))
		}
	})
	mbox(t, h.Host, "/home/box/Mailbox", &e)
	for place, sink := range map[string]*testhost.Sink{"sink": h.sink, relay: h.relay} {
		for _, a := range sink.Take() {
			for _, r := range a.Recipients {
				e.Deliveries = append(e.Deliveries, ledger.Delivery{Place: place, Recipient: r, Sender: a.Sender, Text: a.Text, When: a.When})
			}
		}
	}
	queue := h.Path("/var/qmail/queue")
	var err error
	e.Queue, err = ledger.ScanQueue(l, filepath.Join(queue, "new"), filepath.Join(queue, "drop"), filepath.Join(queue, "bad"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range h.Log().Lines(firstLine) {
		e.Log = append(e.Log, ledger.LogLine{When: line.When, Text: line.Text})
	}
	e.Leftovers = h.QueueFiles()
	return e
}

// files reads and removes the files of a directory.
func files(t *testing.T, h *testhost.Host, dir string, found func(name, text string, when time.Time)) {
	t.Helper()
	entries, err := os.ReadDir(h.Path(dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		info, err := os.Stat(h.Path(path))
		if err != nil {
			t.Fatal(err)
		}
		found(path, h.ReadFile(path), info.ModTime())
		if err := os.Remove(h.Path(path)); err != nil {
			t.Fatal(err)
		}
	}
}

// delivery reads from the header whose message it is: the way of one that was
// forwarded is in the fields that each hop put on top.
func delivery(place, text string, when time.Time) ledger.Delivery {
	d := ledger.Delivery{Place: place, Text: text, When: when}
	if from := ledger.Values(text, "Return-Path"); len(from) > 0 {
		d.Sender = strings.Trim(from[0], "<>")
	}
	to, ids := ledger.Values(text, "Delivered-To"), ledger.QueueIDs(text)
	slices.Reverse(to)
	if len(to) == 0 || len(ids) < len(to) {
		return d
	}
	d.Recipient, d.QueueID = to[0], ids[0]
	for i := 1; i < len(to); i++ {
		d.Forwarded = append(d.Forwarded, ledger.Hop{QueueID: ids[i], Recipient: to[i]})
	}
	return d
}

// mbox reads and removes an mbox. A copy that ends in the middle is what a
// kill left of a delivery that will be, or was, repeated.
func mbox(t *testing.T, h *testhost.Host, path string, e *ledger.Evidence) {
	t.Helper()
	info, err := os.Stat(h.Path(path))
	if os.IsNotExist(err) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	text := h.ReadFile(path)
	for i, part := range strings.Split("\n"+strings.TrimSuffix(text, "\n"), "\nFrom ") {
		if i == 0 {
			continue // before the first
		}
		_, message, _ := strings.Cut(part, "\n")
		if !ledger.Whole(message) {
			e.Torn++
			t.Logf("torn in the mbox, %d bytes: %.300q ... %q", len(message), message, message[max(0, len(message)-200):])
			continue
		}
		d := delivery(path, message, info.ModTime())
		d.When = time.Time{} // of this one the file tells no time
		e.Deliveries = append(e.Deliveries, d)
	}
	if err := os.Remove(h.Path(path)); err != nil {
		t.Fatal(err)
	}
}

// strays are processes that outlived a suite which has stopped: a lock that
// is held is held by one of them. Those whose qmail-start was killed finish what
// they have in hand, for 10 s, and break it off in 3 more.
func strays(h *testhost.Host) []string {
	for end := time.Now().Add(soon); ; time.Sleep(100 * time.Millisecond) {
		var found []string
		for _, p := range h.Processes() {
			found = append(found, "process "+strings.Join(p.Argv, " "))
		}
		if len(found) == 0 || time.Now().After(end) {
			return found
		}
	}
}
