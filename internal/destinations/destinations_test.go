package destinations

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/internal/control"
)

func read(t testing.TB, text string) (*Table, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, File), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Read(control.Dir(dir))
}

func TestFor(t *testing.T) {
	t.Parallel()
	table, err := read(t, "# ours\nExample.org connections=1\n.example.org connections=2\n.deep.example.org connections=3\n"+
		"mx:.google.com connections=4 rate=90/m recipients=50 messages=20\nmx:alt.google.com connections=5\nmx:relay.test connections=6\n* connections=7\n"+
		"bücher.example connections=8\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		domain, hosts string
		want          int
		scope         Scope
	}{
		{"example.org", "", 1, OneDomain}, {"a.example.org", "", 2, OneDomain}, {"a.deep.example.org", "x.google.com", 3, OneDomain},
		{"deep.example.org", "", 2, OneDomain}, {"other.test", "", 7, SameHosts}, {"org", "", 7, SameHosts}, {"", "", 7, SameHosts},
		{"other.test", "a.google.com b.l.google.com", 4, OneLine}, {"other.test", "google.com", 7, SameHosts},
		{"other.test", "a.google.com b.test", 7, SameHosts}, {"other.test", "alt.google.com", 5, OneLine},
		{"other.test", "alt.google.com b.google.com", 4, OneLine}, {"other.test", "relay.test", 6, OneLine},
		{"other.test", "x.relay.test", 7, SameHosts}, {"example.org", "relay.test", 1, OneDomain},
		{"xn--bcher-kva.example", "", 8, OneDomain},
	} {
		got := table.For(c.domain, strings.Fields(c.hosts))
		if got.Connections != c.want || got.Scope != c.scope {
			t.Errorf("%q at %q: %+v, want %d", c.domain, c.hosts, got, c.want)
		}
	}
	if got := table.For("x.test", []string{"a.google.com"}); got.Limits != (Limits{4, 50, 20, 666666667, "90/m"}) || got.Pattern != "mx:.google.com" {
		t.Errorf("got %+v", got)
	}
	var none *Table
	if got := none.For("x.test", nil); got != (Rule{}) || !none.Empty() {
		t.Errorf("without a file: %+v", got)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"*", "example.org", "* connections", "* connections=", "* connections=0", "* connections=-1", "* connections=+1", "* connections=10001",
		"* recipients=101", "* messages=101", "* rate=1", "* rate=0/m", "* rate=1/w", "* rate=/m", "* rate=1.5/m", "* rate=1000001/s", "* speed=1",
		"* connections=1 connections=2", "*.org connections=1", "a@b connections=1", ". connections=1", "mx: connections=1", "mx:. connections=1",
		"mx:* connections=1", "..b connections=1", "b. connections=1", "connections=1 rate=1/m",
		"a.org connections=1\nA.ORG connections=2",
	} {
		if table, err := read(t, line+"\n"); err == nil {
			t.Errorf("%q is taken: %+v", line, table)
		} else if !strings.Contains(err.Error(), File) {
			t.Errorf("%q: the error does not name the file: %v", line, err)
		}
	}
	if _, err := read(t, strings.Repeat("x", 10)+" rate=1/m\n"); err != nil {
		t.Error(err)
	}
}

// In no period are there more messages than the rate allows.
func TestRate(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{"1/s": time.Second, "60/m": time.Second, "7/s": 142857143, "1000000/d": 86400 * time.Microsecond, "1/d": 24 * time.Hour} {
		got, err := parseRate(value)
		if err != nil || got != want {
			t.Errorf("%s: %v, %v", value, got, err)
		}
	}
}

// FuzzRead: whatever the file holds, it is taken or refused, and lookups end.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		"* connections=20\n", "mx:.google.com rate=600/m recipients=50 messages=20\n# no\n\nexample.org connections=1", "a b=c", ".x. rate=1/s", "\x00",
		"mx:x connections=1\nmx:.x connections=1\n.x rate=1/h\nx rate=1/d",
	} {
		f.Add(seed, "a.example.org", "mx.google.com")
	}
	f.Fuzz(func(t *testing.T, text, domain, host string) {
		table, err := read(t, text)
		if err != nil {
			return
		}
		r := table.For(domain, []string{host, "b." + host})
		if r.Connections < 0 || r.Connections > maxConnections || r.Every < 0 || r.Recipients > maxRecipients || r.Messages > maxMessages {
			t.Errorf("%+v", r)
		}
		if (r.Pattern == "") != (r.Limits == Limits{}) {
			t.Errorf("%+v", r)
		}
	})
}
