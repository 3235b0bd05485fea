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

// collect gathers what a host shows of mail. mailboxes says which address a
// user's Maildir belongs to. What a queue at rest has not is not looked for.
func collect(t *testing.T, l *ledger.Ledger, h *testhost.Host, mailboxes map[string]string) ledger.Evidence {
	t.Helper()
	var e ledger.Evidence
	for user, address := range mailboxes {
		for _, m := range h.Maildir(user).Messages() {
			e.Deliveries = append(e.Deliveries, ledger.Delivery{
				Place: m.File, Recipient: address, Sender: strings.Trim(m.Header("Return-Path"), "<>"), Text: m.Text, When: modified(t, h, m.File),
			})
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
