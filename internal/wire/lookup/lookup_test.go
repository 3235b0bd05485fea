package lookup

import (
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/address"
	"postrider/internal/fdpass"
	"postrider/internal/wire/call"
)

func mailbox(t testing.TB, s string) address.Address {
	t.Helper()
	a, err := address.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// linked is a client whose questions find answers.
func linked(t testing.TB, find func(address.Address) Answer) *call.Client {
	t.Helper()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	c := call.NewClient("qmail-lookup")
	if err := c.Relink(ours); err != nil {
		t.Fatal(err)
	}
	go call.Serve(theirs, 8, func(q []byte) []byte { return Reply(q, find) })
	return c
}

func TestAsk(t *testing.T) {
	t.Parallel()
	c := linked(t, func(a address.Address) Answer {
		switch a.Local() {
		case "joe":
			return Answer{Verdict: Exists}
		case "full":
			return Answer{Full, "a quota"}
		case "hung":
			return Answer{Unsure, "line\nend and \xff" + strings.Repeat("x", MaxText)}
		}
		return Answer{Unknown, "nobody"}
	})
	for local, want := range map[string]Answer{
		"joe": {Exists, ""}, "full": {Full, "a quota"}, "other": {Unknown, "nobody"},
		"hung": {Unsure, "line?end and ?" + strings.Repeat("x", MaxText-len("line?end and ?"))},
	} {
		if got, err := Ask(c, mailbox(t, local+"@a.example"), time.Minute); got != want || err != nil {
			t.Errorf("%s: %v, %v", local, got, err)
		}
	}
	if _, err := Ask(call.NewClient("qmail-lookup"), mailbox(t, "joe"), time.Minute); !errors.Is(err, call.ErrNoLink) {
		t.Errorf("without a link: %v", err)
	}
}

func TestReplyRefuses(t *testing.T) {
	t.Parallel()
	for _, q := range []string{"", "B" + "joe", "Ajoe@", "Ajoe\x00", "A" + strings.Repeat("x", address.MaxLen+1)} {
		got, err := ParseAnswer(Reply([]byte(q), func(address.Address) Answer { return Answer{Verdict: Exists} }))
		if err != nil || got.Verdict != Unsure || got.Text == "" {
			t.Errorf("%.20q: %v, %v", q, got, err)
		}
	}
}

func TestParseAnswerRefuses(t *testing.T) {
	t.Parallel()
	if a, err := ParseAnswer([]byte("Y ~")); a != (Answer{Exists, " ~"}) || err != nil {
		t.Errorf("the first and the last printable byte: %v, %v", a, err)
	}
	for _, b := range []string{"", "X", "y", "Y\n", "N\x7f", "Y" + strings.Repeat("x", MaxText+1)} {
		if a, err := ParseAnswer([]byte(b)); err == nil {
			t.Errorf("%.20q is taken: %v", b, a)
		}
	}
}

func FuzzQuestion(f *testing.F) {
	f.Add([]byte("Ajoe@a.example"))
	f.Add([]byte("A"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := parseQuestion(b)
		if err == nil && string(appendQuestion(nil, a)) != string(b) {
			t.Errorf("%q becomes %q", b, appendQuestion(nil, a))
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte("Ytext"))
	f.Add([]byte("T"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ParseAnswer(b)
		if err == nil && string(AppendAnswer(nil, a)) != string(b) {
			t.Errorf("%q becomes %q", b, AppendAnswer(nil, a))
		}
	})
}

// BenchmarkAsk is the way of a question and its answer.
func BenchmarkAsk(b *testing.B) {
	c := linked(b, func(address.Address) Answer { return Answer{Verdict: Exists} })
	recipient := mailbox(b, "joe@a.example")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Ask(c, recipient, time.Minute); err != nil {
			b.Fatal(err)
		}
	}
}
