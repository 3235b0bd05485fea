//go:build linux && amd64

package failing

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
			e.Deliveries = append(e.Deliveries, delivery(m.File, user+"@"+h.Name, m.Text, info.ModTime()))
		}
	}
	e.Deliveries = append(e.Deliveries, mboxes(t, h, users, &e.Torn)...)
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

// delivery is a message in the mailbox of a recipient. That of one that was
// forwarded is of the first hop: each has put its fields on top.
func delivery(place, recipient, text string, when time.Time) ledger.Delivery {
	d := ledger.Delivery{Place: place, Recipient: recipient, Text: text, When: when}
	if from := ledger.Values(text, "Return-Path"); len(from) > 0 {
		d.Sender = strings.Trim(from[0], "<>")
	}
	to, ids := ledger.Values(text, "Delivered-To"), ledger.QueueIDs(text)
	if len(to) < 2 || len(ids) < len(to) {
		return d
	}
	slices.Reverse(to)
	d.Recipient, d.QueueID = to[0], ids[0]
	for i := 1; i < len(to); i++ {
		d.Forwarded = append(d.Forwarded, ledger.Hop{QueueID: ids[i], Recipient: to[i]})
	}
	return d
}

// mboxes are the messages in the files Mailbox of users who have one. Those that
// a kill left unfinished are counted as torn.
func mboxes(t *testing.T, h *testhost.Host, users []string, torn *int) []ledger.Delivery {
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
			if !ledger.Whole(text) {
				*torn++
				continue
			}
			found = append(found, delivery(file, user+"@"+h.Name, text, time.Time{}))
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
