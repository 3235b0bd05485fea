package qmailremote

import (
	"fmt"
	"strings"
	"testing"

	"postrider/internal/control"
	"postrider/internal/smtpwire"
)

// TestCRAM is the example of RFC 2195 section 2.
func TestCRAM(t *testing.T) {
	t.Parallel()
	challenge, ok := parseChallenge("334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\n")
	if got := cramMD5("tanstaaftanstaaf", challenge); !ok || got != "b913a602c7eda7a495b4e6e7334d3890" {
		t.Errorf("got %s, %v", got, ok)
	}
}

func TestCutLogin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, relay, user, password, token string
		bad                              bool
	}{
		{in: "r", relay: "r"},
		{in: "r|u|p", relay: "r", user: "u", password: "p"},
		{in: "r|u|p w|x ", relay: "r", user: "u", password: "p w|x "},
		{in: "r:25 u p", relay: "r:25", user: "u", password: "p"},
		{in: "r||", relay: "r"},
		{in: "r|u||t", relay: "r", user: "u", token: "t"},
		{in: "r|u", bad: true},
		{in: "r|u|", bad: true},
		{in: "r||p", bad: true},
		{in: "r u", bad: true},
		{in: "r u p x", bad: true},
		{in: "r|u||../t", bad: true},
		{in: "r|u||.t", bad: true},
		{in: "r|" + strings.Repeat("u", maxCredential+1) + "|p", bad: true},
	} {
		relay, l, err := cutLogin(c.in)
		if c.bad {
			if err == nil {
				t.Errorf("%q: no error", c.in)
			}
			continue
		}
		if relay != c.relay || l != (login{c.user, c.password, c.token}) || err != nil {
			t.Errorf("%q: %q, %q %q %q, %v", c.in, relay, l.user, l.password, l.token, err)
		}
	}
}

// TestSecretsAreNotPrinted: whatever is printed with a login in it has no
// password.
func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	r, err := parseRelay("relay.example|joe|secret", 25)
	if err != nil {
		t.Fatal(err)
	}
	key := poolKey{via: r.via}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format+format+format, r.login, r.via.words(), &r.login) + fmt.Sprint(key.via.words()); strings.Contains(got, "secret") {
			t.Errorf("%s: %s", format, got)
		}
	}
}

func TestLogins(t *testing.T) {
	t.Parallel()
	dir := home(t, nil) + "/control"
	write := func(text string, mode uint32) {
		t.Helper()
		writeMode(t, dir+"/remoteauth", text, mode)
	}
	write("# relays\nRelay.Example|joe|one\nrelay.example:587|joe|two\n192.0.2.1:26|joe|three\n2001:db8::1|joe|four\n[2001:db8::2]:26|joe||token\n", 0o600)
	all, err := logins(control.Dir(dir))
	if err != nil {
		t.Fatal(err)
	}
	set := &settings{tables: routeTables{logins: all}}
	for _, c := range []struct{ route, want string }{
		{"relay.example", "one"}, {"relay.example:26", "one"}, {"RELAY.example:587", "two"}, {"192.0.2.1", ""}, {"[192.0.2.1]:26", "three"},
		{"[IPv6:2001:db8::1]:99", "four"}, {"other.example", ""}, {"relay.example|jim|five", "five"},
	} {
		r, err := parseRelay(c.route, smtpPort)
		if got := set.withLogin(r).login.password; err != nil || got != c.want {
			t.Errorf("%s: %q, %v", c.route, got, err)
		}
	}
	for _, bad := range []string{"relay.example\n", "relay.example|joe\n", "relay.example||\n", "[x|joe|secret\n", "a:x|joe|secret\n"} {
		write(bad, 0o600)
		if _, err := logins(control.Dir(dir)); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	write("relay.example|joe|one\n", 0o640)
	if _, err := logins(control.Dir(dir)); err == nil {
		t.Error("a file that others can read is taken")
	}
}

func TestCodesOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"535 5.7.8 AGpvZQBzZWNyZXQ=\n", "535 5.7.8"},
		{"535 AGpvZQBzZWNyZXQ=\n", "535"},
		{"535-5.7.8.9 x\n535 y\n", "535"},
		{"53", "53"},
		{"", ""},
	} {
		if got := codesOf(smtpwire.Reply{Text: c.text}); got != c.want {
			t.Errorf("%q: got %q", c.text, got)
		}
	}
}

// FuzzChallenge: what is taken for a challenge is what base64 says it is.
func FuzzChallenge(f *testing.F) {
	for _, s := range []string{"334 PDE+\n", "334-a\n334 b\n", "334\n", "", "334 =\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		challenge, ok := parseChallenge(text)
		if ok && (len(challenge) > len(text) || len(cramMD5("x", challenge)) != 32) {
			t.Fatalf("%q gives %q", text, challenge)
		}
	})
}
