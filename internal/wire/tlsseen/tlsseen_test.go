package tlsseen

import (
	"errors"
	"testing"
	"time"
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
