package showctl

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"postrider/internal/control"
	"postrider/internal/settings"
)

func TestWithoutLogin(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"a.example:relay.example:587":     "a.example:relay.example:587",
		"a.example:relay|joe|secret":      "a.example:relay|(a login, which is secret)",
		"a.example:relay joe secret":      "a.example:relay|(a login, which is secret)",
		"a.example:[2001:db8::1]:25|j|s":  "a.example:[2001:db8::1]:25|(a login, which is secret)",
		"relay|joe|secret":                "(a line that is no route)",
		"relay|joe:secret":                "(a line that is no route)",
		"relay joe:se:cret":               "(a line that is no route)",
		"a.example:|joe|secret":           "a.example:|(a login, which is secret)",
		"a.example:relay\tjoe\tsecret":    "a.example:relay|(a login, which is secret)",
		"a.example:":                      "a.example:",
		":relay.example":                  ":relay.example",
		"joe:secret|relay:587|joe|secret": "joe:secret|(a login, which is secret)",
	} {
		if got := withoutLogin(line); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

// What is meant to be a setting is told by its name; what is not, is left alone.
func TestNearest(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"rcpthost": "rcpthosts", "virtualdomain": "virtualdomains", "loclas": "locals", "databyte": "databytes", "SMTPROUTES": "smtproutes",
		"README": "", "dh2048.pem": "", "blacklist": "", "x": "",
	} {
		if got := nearest(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]string{"rcpthosts~": "rcpthosts", "me.bak": "me", "locals.rpmnew": "locals", "menu": "", "localsx": ""} {
		if got := copyOf(name); got != want {
			t.Errorf("%q is a copy of %q, want %q", name, got, want)
		}
	}
}

func TestWrongLines(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		holds settings.Content
		line  string
		wrong bool
	}{
		{settings.Domains, "example.org", false}, {settings.Domains, "localhost", false}, {settings.Domains, "bücher.example", false}, {settings.Domains, "[192.0.2.1]", false},
		{settings.Domains, "a_b.example", false}, {settings.Domains, ".example.org", true}, {settings.Domains, "*", true}, {settings.Domains, "a@b", true},
		{settings.Domains, "a.example:joe", true}, {settings.Domains, "a b", true}, {settings.Domains, "a..example", true}, {settings.Domains, "example.org.", true},
		{settings.Suffixes, ".example.org", false}, {settings.Suffixes, "..org", true}, {settings.Suffixes, "*.example.org", true},
		{settings.Addresses, "joe@example.org", false}, {settings.Addresses, "@example.org", false}, {settings.Addresses, "example.org", true},
		{settings.Anything, "*", false},
	} {
		problem, mend := wrongLine(c.holds, c.line)
		if (problem != "") != c.wrong || (problem == "") != (mend == "") {
			t.Errorf("%v %q: %q, %q", c.holds, c.line, problem, mend)
		}
	}
}

// Every setting is printed within 80 columns, whatever is in its file.
func TestLinesFit(t *testing.T) {
	t.Parallel()
	i := &inspector{home: t.TempDir()}
	i.dir = control.Dir(i.home)
	var out bytes.Buffer
	i.printAll(&out)
	for _, s := range settings.All() {
		i.printSetting(&out, s)
		if strings.ContainsAny(prose(s.Meaning), "`") || strings.Contains(prose(s.Meaning), "](") {
			t.Errorf("%s: %s", s.Name, prose(s.Meaning))
		}
	}
	cut(&out, indent, strings.Repeat("x", 200))
	wrap(&out, "", strings.Repeat("words and ", 50))
	for line := range strings.Lines(out.String()) {
		if utf8.RuneCountInString(strings.TrimRight(line, "\n")) > width && !strings.Contains(line, i.home) {
			t.Errorf("too long: %s", line)
		}
	}
	for _, s := range settings.All() {
		if !strings.Contains(out.String(), "\n"+s.Name+" ") {
			t.Errorf("%s is not printed: is its area among Areas?", s.Name)
		}
	}
}

// What two say of one line is told once, and the findings of one file are bounded.
func TestFindings(t *testing.T) {
	t.Parallel()
	var fs findings
	fs.add(Finding{Error, "f", 1, "wrong\x1b[31m", "mend"})
	fs.add(Finding{Error, "f", 1, "wrong\x1b[31m", "mend otherwise"})
	for n := range 3 * maxEach {
		fs.add(Finding{Warning, "g", n, "wrong", ""})
	}
	if len(fs.of(Error)) != 1 || strings.Contains(fs.of(Error)[0].What, "\x1b") {
		t.Errorf("%+v", fs.of(Error))
	}
	if n := len(fs.of(Warning)); n != maxEach {
		t.Errorf("%d warnings", n)
	}
}

func TestListening(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"   0: 0100007F:0019 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1":                                                 "127.0.0.1:25",
		"   0: 00000000:01D1 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1":                                                 "0.0.0.0:465",
		"   0: B80D0120000000000000000001000000:0019 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1": "[2001:db8::1]:25",
		"   0: 0100007F:0019 0100007F:8000 01 00000000:00000000 00:00000000 00000000     0        0 4711 1":                                                 "",
		"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode":                                                  "",
		"": "",
	} {
		s, ok := parseListening(line)
		if ok != (want != "") || ok && (s.at.String() != want || s.inode != "4711") {
			t.Errorf("%q: %v, %v", line, s, ok)
		}
	}
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"0.0.0.0", "192.0.2.1", true}, {"192.0.2.1", "0.0.0.0", true}, {"192.0.2.1", "192.0.2.2", false}, {"::", "0.0.0.0", true}, {"::1", "127.0.0.1", false}, {"127.0.0.1", "::", false},
	} {
		if got := overlap(netip.MustParseAddr(c.a), netip.MustParseAddr(c.b)); got != c.want {
			t.Errorf("%s and %s: %v", c.a, c.b, got)
		}
	}
}

func FuzzListening(f *testing.F) {
	for _, line := range []string{"   0: 0100007F:0019 00000000:0000 0A 0:0 00:0 0     0        0 4711 1", "a b:c d 0A e f g h i j", ""} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if s, ok := parseListening(line); ok && (!s.at.IsValid() || s.inode == "") {
			t.Errorf("%q: %v", line, s)
		}
	})
}

// What is printed of a route has nothing of its login, whatever the line is.
func FuzzWithoutLogin(f *testing.F) {
	for _, line := range []string{"a:b|c|d", "a:b c d", "a", ":", "a:b:25|", "|a:b"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		at := strings.IndexAny(line, "| \t")
		if at < 0 {
			return
		}
		const instead = "(a login, which is secret)"
		if shown := withoutLogin(line); strings.HasPrefix(shown, line[:at+1]) && shown != line[:at+1]+instead || shown == line {
			t.Errorf("%q: %q", line, shown)
		}
	})
}

func TestHasKey(t *testing.T) {
	t.Parallel()
	for record, want := range map[string]bool{
		"v=DKIM1; k=rsa; p=YWJj": true, "v=DKIM1; p = YW Jj ;": true, "p=": false, "p=YWJk": false, "": false, "p=!": false,
	} {
		if got := hasKey(record, []byte("abc")); got != want {
			t.Errorf("%q: %v", record, got)
		}
	}
}

// Each change counts at some time that is told.
func TestChanges(t *testing.T) {
	t.Parallel()
	if got := changesOf(named("sandbox")); len(got) != 1 {
		t.Errorf("%q", got)
	}
	if got := changesOf(named("rcpthosts")); !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "qmail-smtpd: with the next connection") }) {
		t.Errorf("%q", got)
	}
}
