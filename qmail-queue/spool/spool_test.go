package spool

import (
	"fmt"
	"strings"
	"testing"

	"postrider/internal/queuedir"
	"postrider/internal/wire/entries"
	"postrider/internal/wire/submit"
)

func accepted(t *testing.T, a submit.Answer) queuedir.ID {
	t.Helper()
	if a.Kind != submit.Accepted {
		t.Fatalf("answer %c %d %q", a.Kind, a.ExitCode, a.Text)
	}
	id, err := queuedir.ParseID(a.ID)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// The way of an entry: submitted, committed, announced, asked about, removed.
func TestFromSubmissionToRemoval(t *testing.T) {
	t.Parallel()
	recipients := func(n int) (env string, want []string) {
		var b strings.Builder
		b.WriteString("Fsender@example.org\x00")
		for i := range n {
			fmt.Fprintf(&b, "Tr%d@example.net\x00", i)
			want = append(want, fmt.Sprintf("r%d@example.net", i))
		}
		b.WriteString("\x00")
		return b.String(), want
	}
	for _, tc := range []struct {
		name       string
		body       string
		recipients int
		outside    bool
		inline     bool // the announcement carries the envelope
		apart      bool // an empty line is in front, and the text continues no line of ours
	}{
		{"small", "Subject: x\n\nbody\n", 1, false, true, false},
		{"empty, to nobody", "", 0, false, true, false},
		{"largest inline", strings.Repeat("x", 60<<10), 3, false, true, false},
		{"body of its own", strings.Repeat("x", 64<<10), 3, true, true, false},
		{"body synced by its writer", strings.Repeat("abcdefg\n", 1<<17), 3, true, true, false},
		{"many recipients", "Subject: x\n\n", 20000, false, false, false},
		{"large body and many recipients", strings.Repeat("y", 300<<10), 20000, true, false, false},
		{"begins with a blank", " (by uid 0)\nSubject: x\n\nbody\n", 1, false, true, true},
		{"begins with a tab", "\t", 1, false, true, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			q := startQueue(t)
			env, want := recipients(tc.recipients)
			nonce := newNonce()
			id := accepted(t, q.submit(q.connect(), tc.body, env, nonce))
			heard := q.hear(1)[0]
			m := q.read(id)
			received, body, _ := strings.Cut(m.body, "\n")
			if tc.apart {
				body = strings.TrimPrefix(body, "\n")
			}
			if !strings.HasPrefix(received, "Received: (qmail "+id.String()+" invoked by uid 1000); ") || body != tc.body {
				t.Errorf("body begins with %q and has %d bytes more, not %d", received, len(body), len(tc.body))
			}
			if m.head.Sender.String() != "sender@example.org" || m.head.UID != 1000 || m.head.Nonce != nonce || !m.head.Arrived.Equal(id.Time()) {
				t.Errorf("head %+v", m.head)
			}
			if strings.Join(m.recipients, " ") != strings.Join(want, " ") {
				t.Errorf("%d recipients, not the %d submitted", len(m.recipients), len(want))
			}
			if heard.Kind != entries.Announced || heard.ID != id || heard.UID != 1000 || heard.Size != int64(len(m.body)) {
				t.Errorf("announced as %+v", heard)
			}
			if inline := len(heard.Envelope) > 0; inline != tc.inline {
				t.Errorf("envelope announced: %v", inline)
			}
			files := []string{"new/" + id.Bucket() + "/" + id.String()}
			if tc.outside {
				files = append(files, files[0]+".body")
			}
			if got := q.files(); strings.Join(got, " ") != strings.Join(files, " ") {
				t.Errorf("files %q, want %q", got, files)
			}
			q.say(entries.Message{Kind: entries.Query, ID: id})
			if got := q.hear(1)[0]; got.Kind != entries.Committed {
				t.Errorf("query answered %c", got.Kind)
			}
			q.say(entries.Message{Kind: entries.Remove, ID: id})
			if got := q.hear(1)[0]; got.Kind != entries.Removed || got.ID != id {
				t.Errorf("removal answered %c", got.Kind)
			}
			q.say(entries.Message{Kind: entries.Query, ID: id})
			if got := q.hear(1)[0]; got.Kind != entries.NotCommitted {
				t.Errorf("query after removal answered %c", got.Kind)
			}
			if got := q.files(); len(got) != 0 {
				t.Errorf("left over: %q", got)
			}
		})
	}
}
