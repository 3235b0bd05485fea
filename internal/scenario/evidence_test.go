package scenario

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/internal/ledger"
	"postrider/internal/testhost"
)

// collect gathers everything a host and its sinks show. mailboxes says which
// address a user's Maildir belongs to.
func collect(t *testing.T, l *ledger.Ledger, h *testhost.Host, mailboxes map[string]string, sinks ...*testhost.Sink) ledger.Evidence {
	t.Helper()
	var e ledger.Evidence
	for user, address := range mailboxes {
		for _, m := range h.Maildir(user).Messages() {
			e.Deliveries = append(e.Deliveries, ledger.Delivery{
				Place: m.File, Recipient: address, Sender: strings.Trim(m.Header("Return-Path"), "<>"), Text: m.Text, When: modified(t, h, m.File),
			})
		}
	}
	for _, s := range sinks {
		for _, a := range s.Accepted() {
			for _, r := range a.Recipients {
				e.Deliveries = append(e.Deliveries, ledger.Delivery{Place: "sink", Recipient: r, Sender: a.Sender, Text: a.Text, When: a.When})
			}
		}
	}
	queue := h.Path("/var/qmail/queue")
	var err error
	e.Queue, err = ledger.ScanQueue(l, filepath.Join(queue, "new"), filepath.Join(queue, "drop"), filepath.Join(queue, "bad"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range h.Log().Lines(0) {
		e.Log = append(e.Log, ledger.LogLine{When: line.When, Text: line.Text})
	}
	e.Leftovers = leftovers(t, h)
	return e
}

func modified(t *testing.T, h *testhost.Host, file string) time.Time {
	t.Helper()
	info, err := os.Stat(h.Path(file))
	if err != nil {
		t.Fatal(err)
	}
	return info.ModTime()
}

// leftovers are the files that a queue at rest has not.
func leftovers(t *testing.T, h *testhost.Host) []string {
	t.Helper()
	var found []string
	root := h.Path("/var/qmail")
	for _, dir := range []string{"tmp", "new", "info", "drop", "bad"} {
		err := filepath.WalkDir(filepath.Join(root, "queue", dir), func(path string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				found = append(found, strings.TrimPrefix(path, root))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}
