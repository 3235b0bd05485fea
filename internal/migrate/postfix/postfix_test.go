package postfix

import (
	"slices"
	"strings"
	"testing"

	"postrider/internal/migrate"
)

func TestLogicalLines(t *testing.T) {
	t.Parallel()
	got := logicalLines("# c\na = 1\n\n  2\n# c\n\t3 \nb\n  # c\n c\n")
	want := []logical{{"a = 1 2 3", 2}, {"b c", 7}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := logicalLines("  lost\n"); len(got) != 0 {
		t.Errorf("a line that continues nothing is %v", got)
	}
}

func TestExpand(t *testing.T) {
	t.Parallel()
	m := parseMain("a = 1\nb = $a-${a}-$(a)\nc = $$a\nd = ${a?x}${none?y}${none:z}\ne = ${a?{x y}:{z}}\nf = ${none?{x}:{$b}}\nloop = $loop\nodd = ${a==b}\nmyhostname = mx.h.example\n", "/f", "host")
	for name, want := range map[string]string{
		"a": "1", "b": "1-1-1", "c": "$a", "d": "xz", "e": "x y", "f": "1-1-1", "mydomain": "h.example",
		"mydestination": "mx.h.example, localhost.h.example, localhost", "none": "",
	} {
		if got, err := m.value(name); got != want || err != nil {
			t.Errorf("%s is %q, %v; want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"loop", "odd"} {
		if got, err := m.value(name); err == nil {
			t.Errorf("%s is %q", name, got)
		}
	}
}

func TestSeconds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value, unit string
		want        int
	}{{"5d", "s", 432000}, {"300", "s", 300}, {"2", "h", 7200}, {"0h", "h", 0}} {
		if got, err := seconds(c.value, c.unit); got != c.want || err != nil {
			t.Errorf("%s: %d, %v", c.value, got, err)
		}
	}
	for _, bad := range []string{"", "d", "-1", "1dd", "99999999999w", "x"} {
		if got, err := seconds(bad, "s"); err == nil {
			t.Errorf("%q is %d", bad, got)
		}
	}
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"10.0.0.0/8": "10.0.0.0/8", "10.1.2.3/8": "10.0.0.0/8", "[::1]/128": "::1", "192.0.2.1": "192.0.2.1", "168.100": "168.100.0.0/16",
		"[2001:db8::]/32": "2001:db8::/32",
	} {
		if got, ok := network(word); got != want || !ok {
			t.Errorf("%s is %q, %v", word, got, ok)
		}
	}
	for _, bad := range []string{"", "host.example", "10.0.0.0/33", "1..2", "a"} {
		if got, ok := network(bad); ok {
			t.Errorf("%q is %q", bad, got)
		}
	}
}

// Of two networks that an address is in the first counts for Postfix: nobody may
// relay here who may not there.
func TestRelayClients(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"!10.0.0.0/8, 10.1.0.0/16":   "10.0.0.0/8:allow",
		"!10.1.0.0/16, 10.0.0.0/8":   `10.1.0.0/16:allow 10.0.0.0/8:allow,RELAYCLIENT=""`,
		"!10.0.0.0/16, 10.0.0.0/8":   `10.0.0.0/16:allow 10.0.0.0/8:allow,RELAYCLIENT=""`,
		"10.0.0.0/8, !10.1.0.0/16":   `10.0.0.0/8:allow,RELAYCLIENT="" 10.1.0.0/16:allow`,
		"10.0.0.0/8 10.0.0.0/8":      `10.0.0.0/8:allow,RELAYCLIENT=""`,
		"!192.0.2.7 192.0.2.7":       "192.0.2.7:allow",
		"[::ffff:127.0.0.0]/104 ::1": `::ffff:127.0.0.0/104:allow,RELAYCLIENT="" ::1:allow,RELAYCLIENT=""`,
	} {
		r := &reader{config: &config{main: parseMain("mynetworks = "+value+"\n", "/f", "h")}, site: migrate.New("Postfix")}
		r.relayClients()
		if got := strings.Join(r.rules, " "); got != want {
			t.Errorf("%s becomes %s, want %s", value, got, want)
		}
	}
}

// What words of restrictions say is a line that qmail-smtpd takes, or is told.
func TestRestrictions(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"reject_rbl_client l.example=127.0.0.2":          "-l.example=127.0.0.2",
		"reject_rbl_client l.example=127.0.0.[2..11;14]": "-l.example=127.0.0.2-11,127.0.0.14",
		"permit_dnswl_client l.example=127.0.[0..255].1": "+l.example Lost",
		"reject_rbl_client l.example=127.0.0.[11..2]":    "-l.example Lost",
		"reject_rbl_client l.example=127.0.0.[2..11":     "-l.example Lost",
		"reject_rbl_client l.example=[127..128].0.0.2":   "-l.example Lost",
		"sleep 2s":   "2",
		"sleep 5m":   "60",
		"sleep soon": "Lost",
	} {
		r := &reader{config: &config{main: parseMain("", "/f", "h")}, site: migrate.New("Postfix")}
		restrictions(r, setting{name: "smtpd_client_restrictions"}, value)
		got := strings.Join(append(r.site.Control["dnsbllist"], r.site.Control["greetdelay"]...), " ")
		if r.site.Count(migrate.Lost) > 0 {
			got = strings.TrimSpace(got + " Lost")
		}
		if got != want {
			t.Errorf("%s becomes %q, want %q", value, got, want)
		}
	}
}

// An entry for all domains counts more than relayhost, and an empty one is as good
// as none.
func TestRoutes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ maps, want string }{
		{"*=smtp:[out.example]", ":out.example"},
		{"a.example=:, b.example=smtp:", "a.example:relay.example b.example: :relay.example"},
		{"*=:", ":relay.example"},
	} {
		r := &reader{config: &config{main: parseMain("relayhost = [relay.example]\ntransport_maps = inline:{"+c.maps+"}\n", "/f", "h"), tables: map[string]*table{}}, site: migrate.New("Postfix")}
		r.routes()
		if got := strings.Join(r.site.Control["smtproutes"], " "); got != c.want {
			t.Errorf("%s becomes %q, want %q", c.maps, got, c.want)
		}
	}
}

func TestCutHop(t *testing.T) {
	t.Parallel()
	c := &config{main: parseMain("", "/f", "h")}
	for hop, want := range map[string]string{
		"[mx.example]:587": "mx.example:587", "mx.example": "mx.example", "[192.0.2.1]": "192.0.2.1", "[mx.example]:submission": "mx.example:587",
		"mx.example:25": "mx.example", "": "", "[a], [b]": "a",
		"[2001:db8::25]": "[2001:db8::25]", "[2001:db8::1]:587": "[2001:db8::1]:587", "[ipv6:2001:db8::1]:25": "[2001:db8::1]",
	} {
		if got := c.relay(hop, "smtp"); got != want {
			t.Errorf("%q is %q, want %q", hop, got, want)
		}
	}
}

func TestMasterOptions(t *testing.T) {
	t.Parallel()
	all, broken := parseMaster("submission inet n - y - - smtpd\n -o a=b\n -oc=d\n -o { e = f g }\nbroken\n", "/m")
	if len(all) != 1 || len(broken) != 1 || all[0].options["a"] != "b" || all[0].options["c"] != "d" || all[0].options["e"] != "f g" {
		t.Errorf("got %v, %v", all, broken)
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ line, key, want string }{
		{`/^a(.*)@x$/ ${1}@y`, "ab@x", "b@y"},
		{`/^a(.*)@x$/ $1@y`, "AB@X", "B@y"},
		{`/^a@x$/i y`, "A@x", ""},
		{`!/a/ y`, "b", "y"},
		{`/a/ $$1`, "a", "$1"},
	} {
		r, err := parseRule(c.line)
		if err != nil {
			t.Errorf("%s: %v", c.line, err)
			continue
		}
		e, _, _ := (&table{rules: []rule{r}}).lookup(c.key)
		if e.value != c.want {
			t.Errorf("%s makes %q of %s, want %q", c.line, e.value, c.key, c.want)
		}
	}
	if _, err := parseRule(`/(?=a)/ x`); err == nil {
		t.Error("a look-ahead is understood")
	}
}
