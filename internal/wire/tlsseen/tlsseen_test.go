package tlsseen

import (
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/wire/call"
)

type memory map[string]Day

func (m memory) Saw(host string) { m[host] = 7 }

func (m memory) Last(host string) (Day, bool, error) {
	if host == "lost.example" {
		return 0, false, errors.New("no disk")
	}
	day, known := m[host]
	return day, known, nil
}

func TestReply(t *testing.T) {
	t.Parallel()
	m := memory{"old.example": 5}
	for _, c := range []struct{ question, want string }{
		{"Aold.example", "D\x00\x00\x00\x05"}, {"Anew.example", "N"}, {"Snew.example", "K"}, {"Anew.example", "D\x00\x00\x00\x07"},
		{"A", "R"}, {"Aa b", "R"}, {"AA.example", "R"}, {"A\xff", "R"}, {"Xold.example", "R"}, {"S2001:db8::1", "K"},
		{"Alost.example", "T"},
	} {
		if got := Reply([]byte(c.question), m); string(got) != c.want {
			t.Errorf("%q: got %q", c.question, got)
		}
	}
	day := DayOf(time.Date(2026, 11, 26, 23, 59, 0, 0, time.UTC))
	if got := day.Time().Format(time.DateOnly); got != "2026-11-26" {
		t.Errorf("got %s", got)
	}
}

// Trouble is neither that a host is remembered nor that it is not.
func TestTrouble(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"T", "TT", "R", "K", ""} {
		if _, known, err := parseAnswer([]byte(answer)); known || err == nil {
			t.Errorf("%q: %v, %v", answer, known, err)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte("N"))
	f.Add([]byte("D\x00\x00\x00\x05"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, known, err := parseAnswer(b); known && (err != nil || b[0] != kindDay) {
			t.Fatalf("%q is a day", b)
		}
	})
}

func TestClient(t *testing.T) {
	t.Parallel()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	c := call.NewClient("qmail-tlsseen")
	if _, _, err := Ask(c, "a.example", time.Minute); !errors.Is(err, call.ErrNoLink) {
		t.Errorf("without a link: %v", err)
	}
	if err := Tell(c, "a.example", time.Minute); !errors.Is(err, call.ErrNoLink) {
		t.Errorf("without a link: %v", err)
	}
	if err := c.Relink(ours); err != nil {
		t.Fatal(err)
	}
	m := memory{"old.example": 5}
	go call.Serve(theirs, 1, func(q []byte) []byte { return Reply(q, m) })
	if err := Tell(c, "new.example", time.Minute); err != nil {
		t.Error(err)
	}
	for _, want := range []struct {
		host  string
		day   Day
		known bool
		err   error
	}{{"old.example", 5, true, nil}, {"new.example", 7, true, nil}, {"no.example", 0, false, nil}, {"lost.example", 0, false, errTrouble}, {"a b", 0, false, errAnswer}} {
		if day, known, err := Ask(c, want.host, time.Minute); day != want.day || known != want.known || err != want.err {
			t.Errorf("%s: %v, %v, %v", want.host, day, known, err)
		}
	}
	if err := Tell(c, "a b", time.Minute); err != errAnswer {
		t.Errorf("no host: %v", err)
	}
}

func TestIsHost(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"a.example": true, "": false, "a b": false, "~!": true, "a\x7f": false, "Z": false, "A": false, "@[": true, string(make([]byte, 3)): false,
		strings.Repeat("x", MaxHost): true, strings.Repeat("x", MaxHost+1): false,
	} {
		if got := IsHost(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
	if got := DayOf(time.Unix(-1, 0)); got != 0 {
		t.Errorf("before 1970: day %d", got)
	}
	if got := DayOf(time.Unix(2*24*60*60-1, 0)); got != 1 {
		t.Errorf("the last second of day 1: %d", got)
	}
}
