package queuectl

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"postrider/internal/queuedir"
)

func TestGlob(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"*", "", true}, {"*", "anything/at all", true}, {"", "", true}, {"", "x", false},
		{"*@example.org", "A@Example.ORG", true}, {"*@example.org", "a@example.org.evil", false},
		{"a?c", "abc", true}, {"a?c", "ac", false}, {"*a*b*", "xxaxxbxx", true}, {"*a*b*", "xxbxxaxx", false},
		{"a*", "a", true}, {"a**", "a", true}, {"*.org", "x.org.org", true}, {"[a]", "a", false}, {"[a]", "[a]", true},
		{strings.Repeat("*a", 30) + "b", strings.Repeat("a", 3000), false},
	} {
		if got := glob(c.pattern, c.s); got != c.want {
			t.Errorf("%q, %q: %t", c.pattern, c.s, got)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]time.Duration{"90s": 90 * time.Second, "15m": 15 * time.Minute, "2h": 2 * time.Hour, "3d": 72 * time.Hour, "1w": 168 * time.Hour} {
		if got, err := parseAge(s); err != nil || got != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "3", "d", "-1d", "1y", "4294967295w", "x m"} {
		if got, err := parseAge(s); err == nil {
			t.Errorf("%q: %v", s, got)
		}
	}
	for s, want := range map[string]int64{"500": 500, "10k": 10 << 10, "2M": 2 << 20, "3G": 3 << 30} {
		if got, err := parseSize(s); err != nil || got != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "k", "-1", "1T", "1 k"} {
		if got, err := parseSize(s); err == nil {
			t.Errorf("%q: %v", s, got)
		}
	}
}

// someQueue has four messages in different states.
func someQueue(t testing.TB) (home string, ids []queuedir.ID) {
	home, l := newHome(t)
	at := born()
	for i := range 4 {
		ids = append(ids, queuedir.NewID(at.Add(time.Duration(i)*time.Hour/2), i, 10*i))
	}
	entry(t, l, ids[0], 1000, "Subject: one\n\nbody\n", "a@b.org", "joe@me.example.org", "jim@else.where")
	entry(t, l, ids[1], 1001, "Subject: \x1b[31mtwo\n\nbody\n", "", "x@y.z")
	var p []byte
	p = queuedir.AppendTried(p, []int{0}, at, "Connection refused\x07")
	p = queuedir.AppendOrder(p, queuedir.Record{Kind: queuedir.Held, Text: "looks odd"}, 0, at)
	put(t, l.Info(ids[1]), string(p))
	entry(t, l, ids[2], 1000, strings.Repeat("x", 100<<10), "A@b.org", "u@y.z", "v@y.z", "w@z.y")
	p = queuedir.AppendDelivered(nil, []int{0})
	p = queuedir.AppendFailed(p, 2, at, "<w@z.y>:\nno such user\n\n")
	p = queuedir.AppendTried(p, []int{1}, at, "greylisted")
	p = queuedir.AppendOrder(p, queuedir.Record{Kind: queuedir.Readdress, Indexes: []int{1}, Text: "vv@y.z"}, 0, at)
	put(t, l.Info(ids[2]), string(p))
	if err := os.Chtimes(l.Info(ids[2]), time.Time{}, at.Add(24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	entry(t, l, ids[3], 1000, "x\n", "a@b.org", "x@y.z")
	put(t, l.Info(ids[3]), string(queuedir.AppendFailed(nil, 0, at, "<x@y.z>:\nno\n\n")))
	return home, ids
}

func TestList(t *testing.T) {
	t.Parallel()
	home, ids := someQueue(t)
	stdout := must(t, home, "list")
	want := []string{
		ids[0].String() + "  new         3h     19B  <a@b.org>", "      joe@me.example.org", "      jim@else.where",
		ids[1].String() + "  held        2h     24B  <>  looks odd", "      x@y.z: Connection refused_",
		ids[2].String() + "  deferred    2h   100kB  <A@b.org>  next ", "      vv@y.z (was v@y.z): greylisted",
		ids[3].String() + "  bouncing", "4 messages, 100kB",
	}
	lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	if len(lines) != len(want) {
		t.Fatalf("got\n%s", stdout)
	}
	for i := range want {
		if !strings.HasPrefix(lines[i], want[i]) {
			t.Errorf("got  %q\nwant %q", lines[i], want[i])
		}
	}
	var m message
	for line := range strings.Lines(must(t, home, "list", "--json", "--state", "deferred")) {
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
	}
	if m.ID != ids[2].String() || len(m.Recipients) != 3 || m.Recipients[0].Done != "delivered" || m.Recipients[2].Done != "failed" ||
		m.Recipients[1].Original != "v@y.z" || m.Recipients[1].Reason != "greylisted" || m.Next == nil || m.UID != 1000 {
		t.Errorf("got %+v", m)
	}
}

func TestChoice(t *testing.T) {
	t.Parallel()
	home, ids := someQueue(t)
	for _, c := range []struct {
		args string
		want []int
	}{
		{"--all", []int{0, 1, 2, 3}},
		{"--from a@B.org", []int{0, 2, 3}},
		{"--from=", []int{1}},
		{"--to *@y.z", []int{1, 2}},
		{"--to u@y.z", nil}, // done
		{"--to vv@y.z", []int{2}},
		{"--domain y.z", []int{1, 2}},
		{"--domain me.*", []int{0}},
		{"--state held,bouncing", []int{1, 3}},
		{"--older 100m", []int{0, 1, 2}},
		{"--older 150m", []int{0, 1}},
		{"--newer 100m", []int{3}},
		{"--larger 1k", []int{2}},
		{"--smaller 10", []int{3}},
		{"--reason *refused*", []int{1}},
		{"--from *b.org --reason grey*", []int{2}},
		{"--json " + ids[3].String() + " --all #" + ids[0].String(), []int{3, 0}},
	} {
		args := append([]string{"list"}, strings.Fields(c.args)...)
		var got []string
		for line := range strings.Lines(must(t, home, args...)) {
			if id, _, _ := strings.Cut(line, " "); len(id) == 20 {
				got = append(got, id)
			} else if _, rest, ok := strings.Cut(line, `"id":"`); ok {
				got = append(got, rest[:20])
			}
		}
		var want []string
		for _, i := range c.want {
			want = append(want, ids[i].String())
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s: got %v, want %v", c.args, got, want)
		}
	}
}

func TestShow(t *testing.T) {
	t.Parallel()
	home, ids := someQueue(t)
	stdout := must(t, home, "show", ids[1].String())
	for _, want := range []string{"state      held\nbecause    looks odd\n", "recipient  1 x@y.z: Connection refused_\n", "  deferred 1: Connection refused_\n",
		"  held by uid 0: looks odd\n", "Subject: _[31mtwo\n"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	if stdout := must(t, home, "show", "--body", ids[0].String()); !strings.HasSuffix(stdout, "\n\nSubject: one\n\nbody\n") {
		t.Errorf("the whole message:\n%s", stdout)
	}
}

func TestMisuse(t *testing.T) {
	t.Parallel()
	home, _ := someQueue(t)
	for _, args := range [][]string{{}, {"frob"}, {"hold"}, {"delete", "--from"}, {"list", "--older", "x"}, {"list", "123"}, {"list", "--state", "odd"},
		{"reroute", "--all"}, {"readdress", "--all"}, {"import"}, {"show"}, {"list", "--frob"}} {
		if code, _, stderr := call(t, home, args...); code != exitMisused || !strings.Contains(stderr, "qmail-queuectl: ") {
			t.Errorf("%v: exit %d, %q", args, code, stderr)
		}
	}
	if code, _, stderr := call(t, home, "hold", "--all"); code != exitTemporary || !strings.Contains(stderr, "qmail-send does not run") || !strings.Contains(stderr, "start it") {
		t.Errorf("nobody to hold: exit %d, %q", code, stderr)
	}
	if code, stdout, _ := call(t, home, "help"); code != 0 || !strings.Contains(stdout, "readdress") {
		t.Errorf("help: exit %d, %q", code, stdout)
	}
	missing := queuedir.NewID(born(), 9, 9).String()
	if code, _, stderr := call(t, home, "list", missing); code != exitTemporary || !strings.Contains(stderr, missing) {
		t.Errorf("a message that is not there: exit %d, %q", code, stderr)
	}
}

// TestDamaged: one bad message does not hide the others.
func TestDamaged(t *testing.T) {
	t.Parallel()
	home, ids := someQueue(t)
	l := queuedir.At(home)
	put(t, l.Entry(ids[0]), "torn")
	put(t, l.Info(ids[1]), "bad\n"+string(queuedir.AppendDelivered(nil, []int{0})))
	put(t, l.Info(ids[3]), string(queuedir.AppendDelivered(nil, []int{7})))
	code, stdout, stderr := call(t, home, "list")
	if code != exitTemporary || !strings.Contains(stdout, "1 messages") || strings.Count(stderr, "warning: ") != 3 {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	// It is there: nobody is told that it is not.
	code, stdout, stderr = call(t, home, "show", ids[1].String())
	if code != exitTemporary || stdout != "" || strings.Count(stderr, "warning: ") != 1 || strings.Contains(stderr, "no such message") {
		t.Errorf("one that cannot be read: exit %d\n%s%s", code, stdout, stderr)
	}
}

// Text of strangers does not get to a terminal as a command, in JSON as little as
// in words: neither what begins with ESC nor what is one character beyond ASCII,
// as those that turn the direction of writing.
func TestHostileText(t *testing.T) {
	t.Parallel()
	home, l := newHome(t)
	id := queuedir.NewID(born(), 1, 1)
	entry(t, l, id, 1, "Subject: a\x1b[2Jb\u009b2Jc\x7fd\x80e\u202ef\n\nbody\n", "a\u009b31m\u2066\U000e0041@x.example", "b\u0085\u200b@y.example")
	for _, args := range [][]string{{"list"}, {"list", "--json"}, {"show", id.String()}, {"show", "--json", id.String()}} {
		out := must(t, home, args...)
		if strings.ContainsFunc(out, func(c rune) bool { return c < ' ' && c != '\n' || 0x7f <= c && c < 0xa0 || unicode.Is(unicode.Cf, c) }) {
			t.Errorf("%q: %q", args, out)
		}
		var m message
		if slices.Contains(args, "--json") && (json.Unmarshal([]byte(out), &m) != nil || m.Sender != "a\u009b31m\u2066\U000e0041@x.example") {
			t.Errorf("%q: the sender is %q", args, m.Sender)
		}
	}
}
