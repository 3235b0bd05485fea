package tcprules

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"postrider/internal/lineartest"
)

const example = `# relay clients
127.:allow,RELAYCLIENT=""
::1:allow,RELAYCLIENT=""
10.1.2.3:deny
10.1.2.4-6:allow,DATABYTES='100',RELAYCLIENT=/@relay.example/
10.2-3.:allow,X="range"
10.:allow,X="ten"
10.9.0.0/16:deny
10.9.8.0/24:allow,X="small"
2001:db8::/32:deny
[2001:db8::5]:allow,X="six"
joe@10.4.4.4:allow,X="joe"
joe@=mail.example.org:allow,X="joe by name"
=mail.example.org:allow,X="name"
=.example.org:allow,X="suffix"
=:allow,X="any name"
192.0.2.9:allow,A="1",!B,C="a,b=c"
192.0.2.9:deny
:allow,X="rest"
`

func TestMatch(t *testing.T) {
	t.Parallel()
	rules, err := Parse(example)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, ip, host, info string
		deny                 bool
		variable, value      string
	}{
		{"prefix", "127.0.0.1", "", "", false, "RELAYCLIENT", ""},
		{"IPv6 address", "::1", "", "", false, "RELAYCLIENT", ""},
		{"IPv4 inside IPv6", "::ffff:127.0.0.1", "", "", false, "RELAYCLIENT", ""},
		{"exact deny", "10.1.2.3", "", "", true, "", ""},
		{"range, low end", "10.1.2.4", "", "", false, "DATABYTES", "100"},
		{"range, high end", "10.1.2.6", "", "", false, "RELAYCLIENT", "@relay.example"},
		{"behind the range", "10.1.2.7", "", "", false, "X", "ten"},
		{"range of prefixes", "10.3.200.1", "", "", false, "X", "range"},
		{"network", "10.9.1.1", "", "", true, "", ""},
		{"smaller network first", "10.9.8.7", "", "", false, "X", "small"},
		{"IPv6 network", "2001:db8:1::1", "", "", true, "", ""},
		{"IPv6 address before its network", "2001:db8::5", "", "", false, "X", "six"},
		{"info at ip", "10.4.4.4", "mail.example.org", "joe", false, "X", "joe"},
		{"info at name", "10.4.4.5", "mail.example.org", "joe", false, "X", "joe by name"},
		{"name before prefix", "10.4.4.5", "mail.example.org", "", false, "X", "name"},
		{"name in capitals", "203.0.113.1", "MAIL.example.org", "", false, "X", "name"},
		{"prefix before suffix of the name", "10.4.4.5", "www.example.org", "", false, "X", "ten"},
		{"suffix of the name", "203.0.113.1", "a.b.example.org", "", false, "X", "suffix"},
		{"suffix needs a label", "203.0.113.1", "example.org", "", false, "X", "any name"},
		{"any name", "203.0.113.1", "example.net", "", false, "X", "any name"},
		{"rest", "203.0.113.1", "", "", false, "X", "rest"},
		{"first of two rules", "192.0.2.9", "", "", false, "A", "1"},
		{"other delimiters inside", "192.0.2.9", "", "", false, "C", "a,b=c"},
		{"rules do not merge", "127.0.0.1", "", "", false, "X", "unset"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := rules.Match(Client{IP: netip.MustParseAddr(c.ip), Host: c.host, Info: c.info})
			if d.Deny != c.deny {
				t.Errorf("deny is %v", d.Deny)
			}
			if c.variable == "" {
				return
			}
			value, set := d.Lookup(c.variable)
			if !set {
				value = "unset"
				if c.value == "" {
					t.Errorf("%s is unset", c.variable)
				}
			}
			if value != c.value {
				t.Errorf("%s is %q, want %q", c.variable, value, c.value)
			}
		})
	}
	if d := rules.Match(Client{IP: netip.MustParseAddr("192.0.2.9")}); !d.Unsets("B") || d.Unsets("A") {
		t.Error("!B does not unset B alone")
	}
	if d := new(Rules).Match(Client{IP: netip.MustParseAddr("192.0.2.9")}); d.Deny {
		t.Error("no rules deny")
	}
	if !rules.UsesNames() {
		t.Error("UsesNames does not see the names")
	}
}

// Invariant 1.
func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"127.0.0.1", "127.0.0.1:", "127.0.0.1:permit", "127.0.0.1:allowed", "127.0.0.1:allow ,A=\"x\"",
		`1.2.3.4:allow,A`, `1.2.3.4:allow,A=`, `1.2.3.4:allow,A="x`, `1.2.3.4:allow,A="x"y`, `1.2.3.4:allow,="x"`, `1.2.3.4:allow,!`,
		"1.2.3:allow", "1.2.3.4.:allow", "1.2.3.4.5:allow", "1.2.3.256:allow", "1.2.3.04:allow", "1..2.:allow",
		"1.2.3.9-4:allow", "1.2.3.4-300:allow", "1-2.3-4.:allow", "1.2.3.-4:allow", "localhost:allow",
		"10.0.0.1/8:allow", "10.0.0.0/33:allow", "2001:db8::1/32:deny", "10.0.0.0/:deny",
	} {
		t.Run(line, func(t *testing.T) {
			if r, err := Parse("1.1.1.1:deny\n" + line + "\n"); err == nil || r != nil {
				t.Errorf("was accepted")
			} else if !strings.HasPrefix(err.Error(), "line 2: ") {
				t.Errorf("error %q does not name the line", err)
			}
		})
	}
}

type fakeDatabase map[string]string

func (f fakeDatabase) Get(key []byte) ([]byte, bool, error) {
	if string(key) == "10.0.0.9" {
		return nil, false, errors.New("damaged")
	}
	data, found := f[string(key)]
	return []byte(data), found, nil
}

func TestFindDatabase(t *testing.T) {
	t.Parallel()
	db := fakeDatabase{
		"10.0.0.1": "D\x00",
		"10.0.0.2": "+RELAYCLIENT=\x00+A=b=c\x00",
		"10.0.0.3": "D\x00+A=b\x00-C\x00",
		"10.0.0.4": "Dx\x00",
		"10.0.0.5": "+A\x00",
		"10.0.0.6": "+A=b",
		"10.0.0.7": "",
		"":         "+X=rest\x00",
	}
	for _, c := range []struct {
		ip    string
		deny  bool
		a     string
		fails bool
	}{
		{"10.0.0.1", true, "", false},
		{"10.0.0.2", false, "b=c", false},
		{"10.0.0.3", true, "b", false},
		{"10.0.0.4", false, "", true},
		{"10.0.0.5", false, "", true},
		{"10.0.0.6", false, "", true},
		{"10.0.0.7", false, "", false},
		{"10.0.0.8", false, "", false},
		{"10.0.0.9", false, "", true},
	} {
		_, d, _, err := FindDatabase(db, Client{IP: netip.MustParseAddr(c.ip)})
		if a, _ := d.Lookup("A"); d.Deny != c.deny || a != c.a || (err != nil) != c.fails {
			t.Errorf("%s: deny %v, A %q, error %v", c.ip, d.Deny, a, err)
		}
	}
}

// R43: rules in any number, and of any length.
func TestParseIsLinear(t *testing.T) {
	lineartest.Check(t, lineartest.Size, func(text string) {
		_, _ = Parse(text) // whether it is valid does not matter here
		_, _ = ParseRecord([]byte(text))
	}, lineartest.Units(":", ":allow", ":allow\n", "a:allow,A=\"x\"", "a:allow,A=\"x\"\n", "# c\n", ",!A", "+A=x\x00", "\n", "10.0.0.0/8:deny\n", "1.2.3.4-7:allow\n", "=.a:allow\n", "."),
		lineartest.Around("[::1]:deny,!A,B=/x/\n", "10.0-3.:allow,RELAYCLIENT=\"\"\n"))
}

func FuzzParse(f *testing.F) {
	f.Add(example, "10.1.2.5", "mail.example.org")
	f.Add("1.2.3.4:allow,A=\"x\"\n", "1.2.3.4", "")
	f.Add("[::1]:deny,!A,B=/x/", "::1", "x.")
	f.Fuzz(func(t *testing.T, text, ip, host string) {
		rules, err := Parse(text)
		if err != nil {
			if rules != nil {
				t.Fatal("rules in spite of an error")
			}
			return
		}
		addr, err := netip.ParseAddr(ip)
		if err != nil {
			return
		}
		d := rules.Match(Client{IP: addr, Host: host})
		if _, err := ParseRecord([]byte(d.vars)); err != nil {
			t.Fatalf("variables %q are no record", d.vars)
		}
	})
}

func TestApply(t *testing.T) {
	t.Parallel()
	rules, err := Parse(`:allow,A="new",!B,C="",D="x=y"` + "\n")
	if err != nil {
		t.Fatal(err)
	}
	before := []string{"A=old", "AB=stays", "B=gone", "A=older", "E=stays"}
	got := rules.Match(Client{IP: netip.MustParseAddr("192.0.2.1")}).Apply(before)
	if want := []string{"AB=stays", "E=stays", "A=new", "C=", "D=x=y"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if before[0] != "A=old" {
		t.Error("the environment that was given has changed")
	}
}

// asked notes what is asked for, and has nothing.
type asked struct{ keys []string }

func (a *asked) Get(key []byte) ([]byte, bool, error) {
	a.keys = append(a.keys, string(key))
	return nil, false, nil
}

// TestKeys: what is looked for, in its order, and no more.
func TestKeys(t *testing.T) {
	t.Parallel()
	ip := netip.MustParseAddr
	for _, c := range []struct {
		name   string
		client Client
		want   []string
	}{
		{"address", Client{IP: ip("192.0.2.1")}, []string{"192.0.2.1", "192.0.2.", "192.0.", "192.", ""}},
		{"IPv6", Client{IP: ip("2001:db8::1%eth0")}, []string{"2001:db8::1", ""}},
		{"name", Client{IP: ip("2001:db8::1"), Host: "A.b"}, []string{"2001:db8::1", "=a.b", "=.b", "=", ""}},
		{"all", Client{ip("1.2.3.4"), "a.b", "Joe"}, []string{"Joe@1.2.3.4", "Joe@=a.b", "1.2.3.4", "=a.b", "1.2.3.", "1.2.", "1.", "=.b", "=", ""}},
		{"info alone", Client{IP: ip("1.2.3.4"), Info: "joe"}, []string{"joe@1.2.3.4", "1.2.3.4", "1.2.3.", "1.2.", "1.", ""}},
		{"no address", Client{Host: "h", Info: "joe"}, []string{"joe@", "joe@=h", "", "=h", "=", ""}},
		{"nothing", Client{}, []string{"", ""}},
	} {
		a := &asked{}
		if _, _, found, err := FindDatabase(a, c.client); found || err != nil || !slices.Equal(a.keys, c.want) {
			t.Errorf("%s: %q, want %q; %v", c.name, a.keys, c.want, err)
		}
	}
	a := &asked{}
	if _, _, _, err := FindDatabase(a, Client{Host: strings.Repeat("a.", 3*maxLabels)}); err != nil || len(a.keys) != maxLabels+4 {
		t.Errorf("a name of many labels: %d keys, %v", len(a.keys), err)
	}
}

// TestParseEdges: what is just a rule, and what just is none.
func TestParseEdges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line string
		keys []string // nil: refused
	}{
		{"1.2.3.4:deny \t", []string{"1.2.3.4"}}, {"@1.2.3.4:deny", []string{"@1.2.3.4"}}, {"joe@:deny", []string{"joe@"}}, {"joe@=:deny", []string{"joe@="}},
		{"1.2.3.4-4:deny", []string{"1.2.3.4"}}, {"1.2.3.255:deny", []string{"1.2.3.255"}}, {"=a:allowed:deny", []string{"=a:allowed"}},
		{"1.2-3.:deny", []string{"1.2.", "1.3."}}, {"[::1]:deny", []string{"::1"}},
		{"[1.2.3.4]:deny", nil}, {"1.2.3.04-7:allow", nil}, {"1.2.3.4-07:allow", nil}, {"1.2.3.5-4:deny", nil},
		{`1.2.3.4:allow,A="x"yB="z"`, nil}, {"1.2.3.4:allow,A=\"\x00\"", nil}, {"1.2.3.4:allow,A=\"x\x00\"", nil}, {"-1.2.3.4:deny", nil},
	} {
		r, err := Parse(c.line)
		if (err == nil) != (c.keys != nil) {
			t.Errorf("%q: %v", c.line, err)
			continue
		}
		for _, key := range c.keys {
			if _, found := r.exact[key]; !found || len(r.exact) != len(c.keys) {
				t.Errorf("%q: %v, want %q", c.line, r.exact, c.keys)
			}
		}
	}
	_, err := Parse(strings.Repeat("x\n", maxWrong+5))
	if wrong, _ := errors.AsType[Wrong](err); len(wrong) != maxWrong {
		t.Errorf("%d wrong lines are told", len(wrong))
	}
}
