package scenario

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"postrider/internal/testhost"
)

// pythonFetch takes messages out of an mbox while others come, as a client does
// that fetches mail: it locks, reads, removes what it has, and writes the file
// anew. It says the subjects, and ends when it has had as many as it is told.
const pythonFetch = `
import mailbox, sys, time
path, want, have = sys.argv[1], int(sys.argv[2]), 0
box = mailbox.mbox(path)
while have < want:
    try:
        box.lock()
    except mailbox.ExternalClashError:
        time.sleep(0.01)
        continue
    try:
        for key, message in list(box.items()):
            print(message["Subject"])
            have += 1
            box.remove(key)
        box.flush()
    finally:
        box.unlock()
    box.close()
    time.sleep(0.02)
    box = mailbox.mbox(path)
`

// Deliveries into an mbox, two at a time and more, and a client that empties it
// meanwhile by locks of its own kind, lose nothing, double nothing and leave
// nothing that is no message.
func TestMboxIsFetchedWhileMailComes(t *testing.T) {
	t.Parallel()
	const messages, writers = 100, 4
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice")
	own(h, "alice", ".qmail", "./Mailbox\n")
	own(h, "alice", "Mailbox", "")
	h.StartSuite()
	var fetched testhost.Result
	var all sync.WaitGroup
	all.Go(func() {
		var err error
		fetched, err = h.Run(testhost.Within(t, 5*soon), testhost.Command{
			Argv: []string{"/usr/bin/python3", "-c", pythonFetch, "/home/alice/Mailbox", fmt.Sprint(messages)}, User: "alice"})
		if err != nil {
			t.Error(err)
		}
	})
	for w := range writers {
		all.Go(func() {
			for i := range messages / writers {
				subject := fmt.Sprintf("m%d", w*messages/writers+i)
				if err := smtp(testhost.Within(t, soon), h, h, "x@else.example", []string{"alice@mx1.example"}, letter("alice", subject)+"\nFrom here on\n"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	waitEmpty(t, h)
	seen := make(map[string]int)
	for subject := range strings.Lines(fetched.Stdout) {
		seen[strings.TrimSpace(subject)]++
	}
	for i := range messages {
		if n := seen[fmt.Sprintf("m%d", i)]; n != 1 {
			t.Errorf("m%d was fetched %d times", i, n)
		}
	}
	if left := h.ReadFile("/home/alice/Mailbox"); len(seen) != messages || left != "" || fetched.Code != 0 {
		t.Errorf("%d subjects, %q is left\n%s", len(seen), left, fetched.Stderr)
	}
	h.StopSuite()
}

// mutt reads an mbox, removes half of it and keeps the rest, while mail comes.
func TestMuttReadsMbox(t *testing.T) {
	t.Parallel()
	const messages = 12
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice")
	own(h, "alice", ".qmail", "./Mailbox\n")
	own(h, "alice", ".muttrc", "set move=no delete=yes confirmappend=no wait_key=no mark_old=no\n")
	h.StartSuite()
	send := func(from int) {
		for i := range messages {
			sendmail(h, "root", []string{"-f", "x@else.example", "alice"}, letter("alice", fmt.Sprintf("m%d", from+i)))
		}
	}
	send(0)
	waitEmpty(t, h)
	// Those with an odd number go. mutt writes nothing if mail has come since it
	// looked last, so it is asked for that more than once.
	read := func() testhost.Result {
		result, err := h.Run(testhost.Within(t, 5*soon), testhost.Command{User: "alice", Argv: []string{"env", "TERM=xterm", "HOME=/home/alice", "script", "-qec",
			`mutt -F /home/alice/.muttrc -f /home/alice/Mailbox -e 'push "<delete-pattern>~s m[0-9]*[13579]\$<enter><sync-mailbox><sync-mailbox><quit>"'`, "/dev/null"}})
		if err != nil {
			t.Error(err)
		}
		return result
	}
	var all sync.WaitGroup
	all.Go(func() { send(messages) })
	read()
	all.Wait()
	waitEmpty(t, h)
	last := read()
	box := h.ReadFile("/home/alice/Mailbox")
	for i := range 2 * messages {
		n := strings.Count(box, fmt.Sprintf("\nSubject: m%d\n", i))
		if want := 1 - i%2; n != want {
			t.Errorf("m%d is there %d times", i, n)
		}
	}
	if t.Failed() {
		t.Logf("%v", last)
	}
	// Each message begins with its From_ line behind an empty one.
	if from, subjects := strings.Count("\n\n"+box, "\n\nFrom x@else.example "), strings.Count(box, "\nSubject: "); from != subjects {
		t.Errorf("%d messages with %d From_ lines:\n%s", subjects, from, box)
	}
	h.StopSuite()
}
