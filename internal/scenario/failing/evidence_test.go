//go:build linux && amd64

package failing

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postrider/internal/ledger"
	"postrider/internal/testhost"
)

// collect gathers what the host's mailboxes, queue and log show. Every user's
// Maildir, and mbox, is that of the address of the same name.
func collect(t *testing.T, l *ledger.Ledger, h *testhost.Host, users ...string) ledger.Evidence {
	t.Helper()
	var e ledger.Evidence
	for _, user := range users {
		for _, m := range h.Maildir(user).Messages() {
			info, err := os.Stat(h.Path(m.File))
			if err != nil {
				t.Fatal(err)
			}
			e.Deliveries = append(e.Deliveries, ledger.Delivery{
				Place: m.File, Recipient: user + "@" + h.Name, Sender: strings.Trim(m.Header("Return-Path"), "<>"),
				Text: m.Text, When: info.ModTime(),
			})
		}
	}
	e.Deliveries = append(e.Deliveries, mboxes(t, h, users)...)
	queue := h.Path("/var/qmail/queue")
	var err error
	e.Queue, err = ledger.ScanQueue(l, filepath.Join(queue, "new"), filepath.Join(queue, "drop"), filepath.Join(queue, "bad"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range h.Log().Lines(0) {
		e.Log = append(e.Log, ledger.LogLine{When: line.When, Text: line.Text})
	}
	e.Leftovers = h.QueueFiles()
	return e
}

// mboxes are the messages in the files Mailbox of users who have one.
func mboxes(t *testing.T, h *testhost.Host, users []string) []ledger.Delivery {
	t.Helper()
	var found []ledger.Delivery
	for _, user := range users {
		file := "/home/" + user + "/Mailbox"
		data, err := os.ReadFile(h.Path(file))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range strings.Split("\n"+strings.TrimSuffix(string(data), "\n"), "\nFrom ")[1:] {
			_, text, _ = strings.Cut(text, "\n") // sender and time
			head := testhost.Message{Text: text}
			found = append(found, ledger.Delivery{
				Place: file, Recipient: user + "@" + h.Name, Sender: strings.Trim(head.Header("Return-Path"), "<>"), Text: text,
			})
		}
	}
	return found
}

// withoutOrphans leaves out what is left of entries that are gone: bodies that
// could not be unlinked and progress files are removed by later sweeps, and no
// message lies in them. It returns how many there were.
func withoutOrphans(h *testhost.Host, e *ledger.Evidence) int {
	isOrphan := func(path string) bool {
		_, path, _ = strings.Cut(path, "/queue")
		dir, name := filepath.Split(path)
		bucket := filepath.Base(dir)
		id, isBody := strings.CutSuffix(name, ".body")
		if !isBody && !strings.HasPrefix(path, "/info/") {
			return false
		}
		_, err := os.Stat(h.Path("/var/qmail/queue/new/" + bucket + "/" + id))
		return os.IsNotExist(err)
	}
	before := len(e.Leftovers)
	e.Leftovers = slices.DeleteFunc(e.Leftovers, func(path string) bool { return isOrphan(path) })
	e.Queue = slices.DeleteFunc(e.Queue, func(q ledger.Queued) bool { return isOrphan(q.File) })
	return before - len(e.Leftovers)
}
