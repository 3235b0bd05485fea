package services

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"postrider/internal/ledger"
	"postrider/internal/testhost"
)

const (
	sender = "ann@else.example"
	// pause is between messages: enough of them for each thing that happens to
	// the suite, and a small load.
	pause = 10 * time.Millisecond
	size  = 600
)

// traffic is mail to the user, by SMTP and by sendmail at the same time, in a ledger.
type traffic struct {
	book *ledger.Ledger
	host *testhost.Host
	stop chan struct{}
	done chan error
	// refused counts connections that nobody took.
	refused int
}

// begin sends from now on until end.
func begin(t *testing.T, h *testhost.Host) *traffic {
	t.Helper()
	book, err := ledger.New(t.TempDir() + "/ledger")
	if err != nil {
		t.Fatal(err)
	}
	m := &traffic{book: book, host: h, stop: make(chan struct{}), done: make(chan error, 2)}
	go func() { m.done <- m.run(t, "smtp", m.smtp) }()
	go func() { m.done <- m.run(t, "sendmail", m.sendmail) }()
	return m
}

// run sends one message after the other.
func (m *traffic) run(t *testing.T, via string, send func(*testing.T, ledger.Intent, string) error) error {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-m.stop:
			return nil
		case <-t.Context().Done():
			return t.Context().Err()
		case <-tick.C:
		}
		id := fmt.Sprint(via, n)
		text, hash := ledger.Compose(id, sender, address, size)
		if err := send(t, ledger.Intent{ID: id, Via: via, Sender: sender, Recipients: []string{address}, Hash: hash}, text); err != nil {
			return err
		}
	}
}

// sendmail is always answered: what it cannot hand over it leaves in the drop
// directory.
func (m *traffic) sendmail(t *testing.T, in ledger.Intent, text string) error {
	m.book.Intend(in)
	result, err := m.host.Run(testhost.Within(t, soon), testhost.Command{
		Argv: []string{"/usr/sbin/sendmail", "-f", sender, address}, User: user, Stdin: text,
	})
	if err != nil || result.Code != 0 {
		return fmt.Errorf("sendmail: %w, %v", err, result)
	}
	m.book.Ack(in.ID)
	return nil
}

func (m *traffic) smtp(t *testing.T, in ledger.Intent, text string) error {
	c, err := m.host.SMTP(testhost.Within(t, soon), "127.0.0.1:25")
	if err != nil {
		m.refused++ // nothing was said of the message
		return nil
	}
	defer c.Close()
	m.book.Intend(in)
	err = c.Send(sender, in.Recipients, text)
	var reply *testhost.Reply
	switch {
	case err == nil:
		m.book.Ack(in.ID)
	case errors.As(err, &reply):
		m.book.Nack(in.ID, reply.Code)
	default:
		m.book.Unknown(in.ID)
	}
	return nil
}

// awaitEmptyQueue has tried again what a stop has put off, until all is delivered.
func (m *traffic) awaitEmptyQueue(t *testing.T) {
	t.Helper()
	ctx := testhost.Within(t, soon)
	for m.host.WaitForEmptyQueue(testhost.Within(t, time.Second)) != nil {
		if ctx.Err() != nil {
			t.Fatalf("the queue holds %v", m.host.Queue())
		}
		for _, p := range m.host.Find("qmail-start") {
			if err := m.host.Signal(p.PID, syscall.SIGALRM); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// end stops sending, waits until all is delivered, and holds what was sent
// against mailbox, queue and log. log ends the suite first: then each line is there.
func (m *traffic) end(t *testing.T, log func() []ledger.LogLine) ledger.Summary {
	t.Helper()
	close(m.stop)
	if err := errors.Join(<-m.done, <-m.done); err != nil {
		t.Fatal(err)
	}
	await(t, m.host, "/var/qmail/queue/drop", "the drop directory is empty", func() bool {
		names, err := os.ReadDir(m.host.Path("/var/qmail/queue/drop"))
		return err == nil && len(names) == 0
	})
	m.awaitEmptyQueue(t)
	lines := log()
	e := ledger.Evidence{Deliveries: delivered(t, m.host), Log: lines}
	queue := m.host.Path("/var/qmail/queue")
	var err error
	if e.Queue, err = ledger.ScanQueue(m.book, filepath.Join(queue, "new"), filepath.Join(queue, "drop"), filepath.Join(queue, "bad")); err != nil {
		t.Fatal(err)
	}
	violations, summary := m.book.Check(e)
	for _, v := range violations {
		if v.Rule == "L4" && m.inFlight(v.ID) {
			t.Logf("in flight when qmail-start was killed: %v", v)
			continue
		}
		t.Error(v)
	}
	if err := m.book.Close(); err != nil {
		t.Error(err)
	}
	t.Logf("%v; %d connections were not taken; %d log lines", summary, m.refused, len(lines))
	if summary.Acked < 50 {
		t.Errorf("%d messages are no traffic", summary.Acked)
	}
	return summary
}

// draining is how long daemons whose parent was killed may take to end.
const draining = 10 * time.Second

// inFlight tells whether a message was being handed in, or taken out of the drop
// directory, when qmail-start was killed. Such a one may come twice: it is known by
// its nonce for as long as it is in the queue, and not if it was delivered before
// it came again.
func (m *traffic) inFlight(id string) bool {
	for _, entry := range m.book.Entries() {
		for _, fault := range m.book.Faults() {
			if entry.ID == id && entry.Begun.Before(fault.When.Add(draining)) && entry.When.After(fault.When.Add(-draining)) {
				return true
			}
		}
	}
	return false
}

// delivered reads the user's mailbox.
func delivered(t *testing.T, h *testhost.Host) (all []ledger.Delivery) {
	t.Helper()
	for _, m := range h.Maildir(user).Messages() {
		if m.Header("Subject") == "probe" {
			continue
		}
		info, err := os.Stat(h.Path(m.File))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, ledger.Delivery{
			Place: m.File, Recipient: address, Sender: strings.Trim(m.Header("Return-Path"), "<>"), Text: m.Text, When: info.ModTime(),
		})
	}
	return all
}

// probe sends a message and waits until it is there.
func probe(t *testing.T, h *testhost.Host) {
	t.Helper()
	first := probes(h)
	result, err := h.Run(testhost.Within(t, soon), testhost.Command{
		Argv: []string{"/usr/sbin/sendmail", address}, User: user, Stdin: "Subject: probe\n\nx\n",
	})
	if err != nil || result.Code != 0 {
		t.Fatalf("%v, %v", err, result)
	}
	await(t, h, "/home/"+user+"/Maildir/new", "the probe arrives", func() bool { return probes(h) > first })
}

func probes(h *testhost.Host) (n int) {
	if !exists(h, "/home/"+user+"/Maildir") {
		return 0
	}
	for _, m := range h.Maildir(user).Messages() {
		if m.Header("Subject") == "probe" {
			n++
		}
	}
	return n
}
