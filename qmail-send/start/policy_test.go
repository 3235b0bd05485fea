package start

import (
	"testing"

	"postrider/internal/control"
	"postrider/internal/wire/parent"
)

// qmail-policy is there if it is wanted, with a link to who asks it.
func TestPolicyIsInThePlan(t *testing.T) {
	t.Parallel()
	smtp := service{program: "qmail-smtpd", listener: parent.ListenSMTP}
	for _, c := range []struct{ listens, asks, want bool }{{true, true, true}, {true, false, false}, {false, true, false}} {
		set := settings{remotes: 1, asksPolicy: c.asks}
		if c.listens {
			set.endpoints = []endpoint{{service: smtp}}
		}
		p := newPlan(set)
		policy, linked := p.member("qmail-policy"), false
		for _, l := range p.links {
			linked = linked || l.a.name == "qmail-smtpd" && l.aName == parent.Policy && l.b.name == "qmail-policy" && l.bName == parent.PolicySMTPD
		}
		if (policy != nil) != c.want || linked != c.want {
			t.Errorf("%+v: there %v, linked %v", c, policy != nil, linked)
		}
	}
}

func TestAsksPolicy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file, text string
		want       bool
	}{
		{"me", "mx.example\n", false},
		{"dnsbllist", "", false}, {"dnsbllist", "# none\n", false}, {"dnsbllist", "bl.example\n", true},
		{"spfbehavior", "0\n", false}, {"spfbehavior", "1\n", true}, {"spfbehavior", "no\n", false},
		{"checkrdns", "1\n", true}, {"greylist", "300\n", true}, {"greylist", "\n", false},
	} {
		home := newHome(t)
		writeControl(t, home, c.file, c.text)
		if got, err := asksPolicy(control.Dir(home + "/control")); err != nil || got != c.want {
			t.Errorf("%s %q: %v, %v", c.file, c.text, got, err)
		}
	}
	for _, file := range []string{"dnsbllist", "spfbehavior", "checkrdns", "greylist"} {
		home := newHome(t)
		writeControl(t, home, file, "99999999999999999999\x00\n")
		if got, err := asksPolicy(control.Dir(home + "/control")); err == nil {
			t.Errorf("%s that cannot be read: %v", file, got)
		}
	}
}
