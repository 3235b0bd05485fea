package explain

import (
	"os"
	"slices"
	"strings"
	"testing"

	"postrider/internal/control"
	"postrider/internal/route"
)

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args, wrong string
		want        options
	}{
		{"joe", "", options{client: stranger, addresses: []string{"joe"}}},
		{"joe --from a@b jim --json", "", options{client: stranger, sender: "a@b", json: true, addresses: []string{"joe", "jim"}}},
		{"--from <> --client 2001:db8::1 joe", "", options{client: "2001:db8::1", addresses: []string{"joe"}}},
		{"--local --no-dns --control=/c --default ./M/ -- --joe", "", options{control: "/c", delivery: "./M/", noDNS: true, addresses: []string{"--joe"}}},
		{"--corpus f", "", options{client: stranger, corpus: "f"}},
		{"", "no address", options{}},
		{"--corpus f joe", "either", options{}},
		{"--client x joe", "--client", options{}},
		{"--from a@ joe", "--from", options{}},
		{"--nothing joe", "not defined", options{}},
		{"joe@", "no address", options{}},
	} {
		o, err := parseOptions(strings.Fields(c.args))
		if c.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%s: error %v, want %s", c.args, err, c.wrong)
			}
			continue
		}
		if err != nil || !slices.Equal(o.addresses, c.want.addresses) {
			t.Errorf("%s: %v, %v", c.args, o, err)
		}
		o.addresses, c.want.addresses = nil, nil
		if o.sender != c.want.sender || o.client != c.want.client || o.control != c.want.control || o.delivery != c.want.delivery ||
			o.corpus != c.want.corpus || o.noDNS != c.want.noDNS || o.json != c.want.json {
			t.Errorf("%s: %+v, want %+v", c.args, o, c.want)
		}
	}
}

func tables(t testing.TB) *explainer {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"me": "m.org\n", "virtualdomains": "v.org:bob\n"} {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	table, err := route.Read(control.Dir(dir))
	if err != nil {
		t.Fatal(err)
	}
	return &explainer{dir: control.Dir(dir), table: table}
}

// TestCorpus reads files of both forms.
func TestCorpus(t *testing.T) {
	t.Parallel()
	e := tables(t)
	for _, c := range []struct {
		name, text, want, wrong string
	}{
		{"plain", "# c\n\na@b\na@b\nc@d <s@t>\ne@f <> 10.0.0.1\ng s@t\n", "a@b,,192.0.2.1 c@d,s@t,192.0.2.1 e@f,,10.0.0.1 g,s@t,192.0.2.1", ""},
		{"a log of multilog", "@40 status: local 0/10 remote 0/20\n@40 new msg 7\n@40 info msg 7: bytes 1 from <s@t> qp 7 uid 1\n" +
			"@40 starting delivery 1: msg 7 to local bob-x@v.org\n@40 starting delivery 2: msg 7 to remote a@b\n@40 delivery 2: success: ok/\n@40 end msg 7\n",
			"x@v.org,s@t, a@b,s@t,", ""},
		{"a log of syslog", "Nov  2 00:30:28 h qmail: 17.1 info msg 7: bytes 1 from <> qp 7 uid 1\nNov  2 00:30:28 h qmail: 17.1 starting delivery 1: msg 7 to local x@m.org\n", "x@m.org,,", ""},
		{"a log without times", "new msg 7\nend msg 6\nstarting delivery 1: msg 7 to remote a@b\n", "a@b,,", ""},
		{"neither", "a@b\nwhat is this\n", "", "line 2"},
		{"no address", "a@\n", "", "line 1"},
		{"no client", "a@b <> x\n", "", "line 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := t.TempDir() + "/corpus"
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			all, err := readCorpus(options{corpus: path, client: stranger}, e)
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) {
					t.Errorf("error %v, want %s", err, c.wrong)
				}
				return
			}
			var got []string
			for _, m := range all {
				got = append(got, m.recipient+","+m.sender+","+m.client)
			}
			if err != nil || strings.Join(got, " ") != c.want {
				t.Errorf("got %s, %v; want %s", strings.Join(got, " "), err, c.want)
			}
		})
	}
}

// TestOutcome: what led to it does not count, nor the order of effects.
func TestOutcome(t *testing.T) {
	t.Parallel()
	a := &section{Verdict: Delivered, Effects: []string{"b", "a"}, Steps: []step{{"x", "y", "f", 1}},
		Forwards: []*section{{Recipient: "r", Verdict: Bounced, Text: "no"}}}
	b := &section{Verdict: Delivered, Effects: []string{"a", "b"}, Forwards: []*section{{Recipient: "r", Verdict: Bounced, Text: "no"}}}
	if !slices.Equal(a.outcome(), b.outcome()) {
		t.Errorf("%q differs from %q", a.outcome(), b.outcome())
	}
	if exitOf(a.worst()) != exitFails {
		t.Errorf("the worst is %s", a.worst())
	}
	b.Forwards[0].Text = "another"
	if slices.Equal(a.outcome(), b.outcome()) {
		t.Error("another text of a forward is no difference")
	}
	b.Forwards[0].Verdict = Unseen
	if b.worst() != Delivered {
		t.Errorf("what cannot be seen of a forward counts: %s", b.worst())
	}
}

// What files and the network say does not move a terminal.
func TestTextIsVisible(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	s := &section{Recipient: "a\x1b[2J", Verdict: Bounced, Text: "x\n\x1b]0;y\a", Steps: []step{{"mx", "\u009b31m\r\n\u202e", "/f\x1b", 2}}}
	if err := writeText(&b, s); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\a\r\u009b\u202e") || strings.Count(b.String(), "\n") != 3 {
		t.Errorf("%q", b.String())
	}
}

func FuzzLogLine(f *testing.F) {
	f.Add("@40 info msg 7: bytes 1 from <s@t> qp 7 uid 1")
	f.Add("starting delivery 1: msg 7 to local bob-x@v.org")
	f.Add("starting delivery 1: msg 7 to remote ")
	e := tables(f)
	f.Fuzz(func(t *testing.T, line string) {
		l := &logReader{senders: make(map[string]string), strip: e.table.Strip}
		if m, found := l.line(line); found && (!isRecipient(m.recipient) || !isSender(m.sender)) {
			t.Errorf("%q: %+v", line, m)
		}
		if m, found := plainLine("x"+line, options{}); found && (!isRecipient(m.recipient) || !isSender(m.sender)) {
			t.Errorf("%q: %+v", line, m)
		}
	})
}
