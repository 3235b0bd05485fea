package qmailremote

import (
	"strings"
	"testing"

	"postrider/internal/control"
)

func TestParseSource(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, addr, helo, from, to string }{
		{"192.0.2.1", "192.0.2.1", "", "", ""},
		{"[192.0.2.1]", "192.0.2.1", "", "", ""},
		{"2001:db8::1 helo=a", "2001:db8::1", "a", "", ""},
		{"::ffff:192.0.2.1 from=@X.example to=.Y.example helo=A.example", "192.0.2.1", "A.example", "@x.example", ".y.example"},
		{"0.0.0.0", "invalid IP", "", "", ""},
		{"::", "invalid IP", "", "", ""},
	} {
		s, err := parseSource(c.in)
		if err != nil || s.addr.String() != c.addr || s.helo != c.helo || s.from != c.from || s.to != c.to {
			t.Errorf("%q: %+v, %v", c.in, s, err)
		}
	}
	for _, bad := range []string{"a.example", "192.0.2", "192.0.2.1:25", "fe80::1%eth0", "224.0.0.1", "192.0.2.1 x", "192.0.2.1 helo=", "192.0.2.1 helo=a helo=b", "192.0.2.1 helo=a\rb"} {
		if s, err := parseSource(bad); err == nil {
			t.Errorf("%q: %+v", bad, s)
		}
	}
}

func TestTooManySources(t *testing.T) {
	t.Parallel()
	dir := home(t, map[string]string{"outgoingip": strings.Repeat("192.0.2.1\n", maxSources+1)})
	if _, err := readSources(control.Dir(dir + "/control")); err == nil {
		t.Error("taken")
	}
}

func FuzzSource(f *testing.F) {
	for _, s := range []string{"192.0.2.1", "[::1] helo=a from=b to=c", "x", "0.0.0.0 helo="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if strings.TrimSpace(line) == "" {
			return // control.List has no such lines
		}
		s, err := parseSource(line)
		if err == nil && (strings.ContainsAny(s.helo, " \r\n") || s.addr.IsValid() && s.addr.Zone() != "") {
			t.Fatalf("%q: %+v", line, s)
		}
	})
}

func TestBlamesAddress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want bool
	}{
		{"550 5.7.25 [192.0.2.1] The IP address sending this message does not have a PTR record setup\n", true},
		{"550-5.7.25 x\n550 5.7.25 y\n", true},
		{"554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org; https://www.spamhaus.org/query\n", true},
		{"450 4.7.1 Client host rejected: cannot find your reverse hostname, [192.0.2.1]\n", true},
		{"554-mx.example\n554 Your access to this mail system has been rejected due to the sending MTA's poor reputation.\n", true},
		{"550 5.1.1 <captain@d.example>: no such user\n", false},
		{"550 5.7.1 SPF check failed\n", false},
		{"452 4.2.2 mailbox full\n", false},
		{"250 2.7.25 ok, ptr\n", false},
		{"", false},
	} {
		if got := blamesAddress(c.text); got != c.want {
			t.Errorf("%q: %v", c.text, got)
		}
	}
}
