package smtpd

import (
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// The grammar of RFC 5321 section 4.1.2, with UTF-8 in local parts (RFC 6531
// section 3.3), as expressions: a second implementation of parsePath. Of
// literals it has those with digits, letters, colons and dots.
const (
	atom5321   = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~\\x{80}-\\x{10ffff}-]+"
	quoted5321 = "\"(?:[ !#-\\[\\]-~\\x{80}-\\x{10ffff}]|\\\\[ -~])*\""
	local5321  = "(?:" + atom5321 + "(?:\\." + atom5321 + ")*|" + quoted5321 + ")"
	domain5321 = "(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\\[[A-Za-z0-9:.-]+\\])"
	path5321   = "<(?:@" + domain5321 + "(?:,@" + domain5321 + ")*:)?(" + local5321 + ")@(" + domain5321 + ")>"
)

var (
	mail5321    = regexp.MustCompile("^(?i:FROM):(?:<>|" + path5321 + ")((?: [!-~]+)*)$")
	mailbox5321 = regexp.MustCompile("^(" + local5321 + ")@(" + domain5321 + ")$")
	escaped5321 = regexp.MustCompile(`(?s)\\(.)`)
)

// meaning5321 is a local part without its quotes.
func meaning5321(local string) string {
	if strings.HasPrefix(local, `"`) {
		local = escaped5321.ReplaceAllString(local[1:len(local)-1], "$1")
	}
	return local
}

// FuzzPathReference: what the grammar has is taken, as what it means, unless
// it is too long or has a character that nobody sees; and each address that is
// taken is written as the grammar has it, and means the same there.
func FuzzPathReference(f *testing.F) {
	for _, seed := range []string{
		"FROM:<>", "from:<a.b@c.example> SIZE=1 X", `FROM:<"a\"b\\ c@d"@x.org>`, "FROM:<@h1,@h2:joe@E.COM>", "FROM:<a@[IPv6:::1]> BODY=8BITMIME", `FROM:<""@x.y>`, "FROM:<j\xc3\xb6@x> SMTPUTF8", "FROM:a@b", `FROM:<a\b"c d"e@x>`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, argument string) {
		if !isText5321(argument) {
			return
		}
		path, parameters, err := parsePath(argument, "FROM")
		if m := mail5321.FindStringSubmatch(argument); m != nil {
			want := ""
			if m[1] != "" {
				want = meaning5321(m[1]) + "@" + m[2]
			}
			tooLong := len(want) > maxPath || len(m[2]) > maxDomain
			if !tooLong && (err != nil || path.String() != want || parameters != strings.Trim(m[3], " ")) {
				t.Errorf("%q: got %q, %q, %v; by RFC 5321 %q, %q", argument, path, parameters, err, want, m[3])
			}
			if tooLong && err == nil {
				t.Errorf("%q is too long, and taken", argument)
			}
		}
		if err != nil || path.IsNull() {
			return
		}
		written := path.Quoted()
		if !path.HasDomain() {
			written += "@x"
		}
		m := mailbox5321.FindStringSubmatch(written)
		if m == nil {
			if mailbox5321.MatchString("a@" + path.Domain()) {
				t.Errorf("%q is written %q, which RFC 5321 does not have", argument, written)
			}
			return // the domain is one that only we take, such as a_b
		}
		if got := meaning5321(m[1]); got != path.Local() || path.HasDomain() && m[2] != path.Domain() {
			t.Errorf("%q is written %q, which by RFC 5321 is %q at %q", argument, written, got, m[2])
		}
	})
}

// isText5321 reports whether the grammar can say anything about a text: it is
// UTF-8 without control characters and what ends lines there.
func isText5321(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool { return unicode.IsControl(c) || c == '\u2028' || c == '\u2029' })
}
