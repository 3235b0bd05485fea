package qmailremote

import (
	"testing"
	"time"

	"postrider/internal/control"
)

func TestParseLimits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want limits
	}{
		{"", limits{}},
		{"MAILMAX=5 RCPTMAX=100", limits{5, 100}},
		{"rcptmax=1 RCPTDOMAINMAX=1", limits{0, 1}},
		{"RCPTMAX=0", limits{}},
		{"RCPTMAX=01", limits{}},
		{"RCPTMAX=1000000", limits{}},
		{"RCPTMAX=-1 MAILMAX=x", limits{}},
		{"RCPTMAX RCPTMAX=", limits{}},
	} {
		if got := parseLimits(c.in); got != c.want {
			t.Errorf("%q: %+v", c.in, got)
		}
	}
}

func FuzzLimits(f *testing.F) {
	for _, s := range []string{"MAILMAX=5 RCPTMAX=100", "=", "RCPTMAX=99999999999999999999", "MAILMAX=1 MAILMAX=0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, params string) {
		if l := parseLimits(params); l.mail < 0 || l.rcpt < 0 || l.mail > 999999 || l.rcpt > 999999 {
			t.Fatalf("%q: %+v", params, l)
		}
	})
}

func TestReadWaits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		ok   bool
	}{
		{"greeting:300\nMAIL: 60\n# x\nend:600\n", true},
		{"", true},
		{"greet:300\n", false},
		{"mail:0\n", false},
		{"mail:x\n", false},
		{"mail\n", false},
		{"mail:99999999\n", false},
	} {
		dir := control.Dir(home(t, map[string]string{"remotetimeouts": c.text}) + "/control")
		w, err := readWaits(dir)
		if (err == nil) != c.ok {
			t.Errorf("%q: %v", c.text, err)
		}
		if c.ok && c.text != "" && (w[stepGreeting] != 300*time.Second || w[stepMail] != time.Minute || w[stepRcpt] != 0 || w.longest(time.Second) != 600*time.Second) {
			t.Errorf("%q: %v", c.text, w)
		}
	}
	var none waits
	if got := none.longest(time.Hour); got != time.Hour {
		t.Errorf("without any: %v", got)
	}
}
