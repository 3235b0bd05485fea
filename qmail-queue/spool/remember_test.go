package spool

import (
	"os"
	"strings"
	"testing"

	"postrider/internal/queuedir"
)

// A submitter that lost the answer of a process that was killed comes again to
// the next one: also when the message is delivered by then, it is one message.
func TestSubmittedAgainAfterARestart(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"small": "a\n", "large": strings.Repeat("0123456789abcdef\n", 10_000)} {
		l := makeQueue(t)
		nonce := newNonce()
		first := reopenQueue(t, l)
		a := first.submit(first.connect(), body, goodEnvelope, nonce)
		next := reopenQueue(t, l)
		id, err := queuedir.ParseID(a.ID)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		next.store.remove(id, func() { close(done) })
		<-done
		if again := next.submit(next.connect(), body, goodEnvelope, nonce); again.Kind != 'K' || again.ID != a.ID {
			t.Errorf("%s: got %+v, want the answer %s", name, again, a.ID)
		}
		if files := next.files(); len(files) != 0 {
			t.Errorf("%s: left %q", name, files)
		}
	}
}

// After a power cut an entry may be torn. Who submits it again gets a new one.
func TestTornEntriesAreNotRemembered(t *testing.T) {
	t.Parallel()
	for name, tear := range map[string]func(entry []byte) []byte{
		"short":    func(b []byte) []byte { return b[:len(b)-1] },
		"body":     func(b []byte) []byte { b[0] ^= 1; return b },
		"envelope": func(b []byte) []byte { b[strings.Index(string(b), "\x00T")+2] ^= 1; return b },
		"footer":   func(b []byte) []byte { b[len(b)-2] ^= 1; return b },
	} {
		l := makeQueue(t)
		nonce := newNonce()
		first := reopenQueue(t, l)
		a := first.submit(first.connect(), "a\n", goodEnvelope, nonce)
		id, err := queuedir.ParseID(a.ID)
		if err != nil {
			t.Fatal(err)
		}
		entry, err := os.ReadFile(l.Entry(id))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(l.Entry(id), tear(entry), 0o640); err != nil {
			t.Fatal(err)
		}
		next := reopenQueue(t, l)
		if again := next.submit(next.connect(), "a\n", goodEnvelope, nonce); again.Kind != 'K' || again.ID == a.ID {
			t.Errorf("%s: got %+v", name, again)
		}
	}
}

// A process that answered all tells the next one so; that one reads nothing. As
// long as a submitter of one that was killed may come again, nobody says so.
func TestWhoAnsweredAllTellsTheNext(t *testing.T) {
	t.Parallel()
	leave := func(q *queue) { (&daemon{store: q.store, server: q.server}).leave(nobodyWaits) }
	for _, c := range []struct {
		name     string
		ends     []func(*queue) // of one process after the other
		answered bool
	}{
		{"left", []func(*queue){leave}, true},
		{"left twice", []func(*queue){leave, leave}, true},
		{"killed", []func(*queue){func(*queue) {}}, false},
		{"killed, then left at once", []func(*queue){func(*queue) {}, leave}, false},
		{"left, then killed", []func(*queue){leave, func(*queue) {}}, false},
		{"left with an answer lost", []func(*queue){func(q *queue) { q.server.loseAnswer(); leave(q) }}, false},
	} {
		l := makeQueue(t)
		nonce := newNonce()
		q := reopenQueue(t, l)
		a := q.submit(q.connect(), "a\n", goodEnvelope, nonce)
		for _, end := range c.ends {
			end(q)
			q = reopenQueue(t, l)
		}
		if q.store.answered != c.answered {
			t.Errorf("%s: the next process says that all is answered: %v", c.name, q.store.answered)
		}
		if again := q.submit(q.connect(), "a\n", goodEnvelope, nonce); !c.answered && again.ID != a.ID {
			t.Errorf("%s: submitted again: %+v, want the answer %s", c.name, again, a.ID)
		}
	}
}
