package smtpd

import (
	"strings"
	"testing"
)

func TestParsePath(t *testing.T) {
	t.Parallel()
	a899 := strings.Repeat("a", maxPath-len("@example.com")) + "@example.com"
	for _, c := range []struct {
		name, argument, keyword, path, parameters string
		err                                       error
	}{
		{"plain", "FROM:<joe@example.net>", "FROM", "joe@example.net", "", nil},
		{"parameters", "FROM:<joe@example.net> SIZE=1 X", "FROM", "joe@example.net", "SIZE=1 X", nil},
		{"quotes and a blank (spec A.8)", `FROM:<a"b c"d@x.org> SIZE=1`, "FROM", "ab cd@x.org", "SIZE=1", nil},
		{"source route (spec A.8)", "TO:<@h1,@h2:joe@EXAMPLE.COM>", "TO", "joe@EXAMPLE.COM", "", nil},
		{"no brackets (spec A.8)", "TO: jim@example.com", "TO", "jim@example.com", "", nil},
		{"empty recipient (spec A.8)", "TO:<>", "TO", "", "", nil},
		{"empty sender", "FROM:<>", "FROM", "", "", nil},
		{"no argument of MAIL", "", "FROM", "", "", nil},
		{"FROM: and nothing", "FROM:", "FROM", "", "", nil},
		{"keyword in lower case", "from:<joe@x.y>", "FROM", "joe@x.y", "", nil},
		{"blanks around the colon", "FROM : <joe@x.y>", "FROM", "joe@x.y", "", nil},
		{"no colon", "TO <joe@x.y>", "TO", "joe@x.y", "", nil},
		{"no keyword", "<joe@x.y>", "TO", "joe@x.y", "", nil},
		{"missing bracket at the end", "TO:<joe@x.y", "TO", "joe@x.y", "", nil},
		{"no brackets, parameters", "FROM:joe@x.y SIZE=5", "FROM", "joe@x.y", "SIZE=5", nil},
		{"no brackets, quoted blank", `TO:"a b"@x.y`, "TO", "a b@x.y", "", nil},
		{"backslash", `TO:<a\>b\"c\\@x.y>`, "TO", `a>b"c\@x.y`, "", nil},
		{"quoted bracket", `TO:<"a>b"@x.y>`, "TO", "a>b@x.y", "", nil},
		{"no domain", "TO:<joe>", "TO", "joe", "", nil},
		{"two at signs", "TO:<a@b@x.y>", "TO", "a@b@x.y", "", nil},
		{"quoted at sign", `TO:<"a@b"@x.y>`, "TO", "a@b@x.y", "", nil},
		{"at sign in quotes only", `TO:<"a@b.c">`, "TO", "a@b.c", "", nil},
		{"nothing before the at sign", `TO:<""@x.y>`, "TO", "@x.y", "", nil},
		{"percent and bang", "TO:<a%b!c@x.y>", "TO", "a%b!c@x.y", "", nil},
		{"literal", "TO:<joe@[192.0.2.1]>", "TO", "joe@[192.0.2.1]", "", nil},
		{"IPv6 literal", "TO:<joe@[IPv6:2001:db8::1]>", "TO", "joe@[IPv6:2001:db8::1]", "", nil},
		{"underscore and digits", "TO:<joe@a_b.1-2.c>", "TO", "joe@a_b.1-2.c", "", nil},
		{"trailing dot", "TO:<joe@x.y.>", "TO", "joe@x.y.", "", nil},
		{"UTF-8", "TO:<jörg@müller.example>", "TO", "jörg@müller.example", "", nil},
		{"longest", "TO:<" + a899 + ">", "TO", a899, "", nil},
		{"too long", "TO:<a" + a899 + ">", "TO", "", "", errPathLength},
		{"longest, all quoted", "TO:<" + strings.Repeat(`\a`, maxPath-4) + "@x.y>", "TO", strings.Repeat("a", maxPath-4) + "@x.y", "", nil},

		{"no argument of RCPT", "", "TO", "", "", errKeyword},
		{"TO: and nothing", "TO:", "TO", "", "", errNoAddress},
		{"a bracket and nothing", "FROM:<", "FROM", "", "", errUnended},
		{"other keyword", "TO:<joe@x.y>", "FROM", "", "", errKeyword},
		{"words before the bracket", "FROM:joe@x.y AUTH=<>", "FROM", "", "", errKeyword},
		{"display name", `FROM:"Joe" <joe@x.y>`, "FROM", "", "", errKeyword},
		{"address alone", "joe@x.y", "FROM", "", "", errKeyword},
		{"behind the bracket", "FROM:<joe@x.y>SIZE=1", "FROM", "", "", errBehind},
		{"two addresses", "TO:<a@x.y><b@x.y>", "TO", "", "", errBehind},
		{"open quote", `TO:<"joe@x.y>`, "TO", "", "", errUnended},
		{"backslash at the end", `TO:<joe@x.y\`, "TO", "", "", errUnended},
		{"missing bracket and a blank", "FROM:<joe@x.y SIZE=1", "FROM", "", "", errUnended},
		{"route without end", "TO:<@h1,@h2>", "TO", "", "", errRoute},
		{"route with a bracket", "TO:<@h1>:joe@x.y>", "TO", "", "", errRoute},
		{"blank in the domain", "TO:<joe@x y>", "TO", "", "", errDomain},
		{"comma in the domain", "TO:<joe@x,y>", "TO", "", "", errDomain},
		{"empty domain", "TO:<joe@>", "TO", "", "", errDomain},
		{"empty domain behind another", "TO:<joe@x.y@>", "TO", "", "", errDomain},
		{"leading dot", "TO:<joe@.x.y>", "TO", "", "", errDomain},
		{"two dots", "TO:<joe@x..y>", "TO", "", "", errDomain},
		{"half a literal", "TO:<joe@[192.0.2.1>", "TO", "", "", errDomain},
		{"the other half", "TO:<joe@192.0.2.1]>", "TO", "", "", errDomain},
		{"domain too long", "TO:<joe@" + strings.Repeat("a.", 128) + "com>", "TO", "", "", errDomain},
		{"tab", "TO:<a\tb@x.y>", "TO", "", "", errByte},
		{"escaped NUL", "TO:<a\\\x00b@x.y>", "TO", "", "", errByte},
		{"escaped LF", "TO:<a\\\nb@x.y>", "TO", "", "", errByte},
		{"invalid UTF-8", "TO:<j\xf6rg@x.y>", "TO", "", "", errByte},
		{"overlong UTF-8", "TO:<a\xc0\xafb@x.y>", "TO", "", "", errByte},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, parameters, err := parsePath(c.argument, c.keyword)
			if path.String() != c.path || parameters != c.parameters || err != c.err {
				t.Errorf("got %q, %q, %v; want %q, %q, %v", path, parameters, err, c.path, c.parameters, c.err)
			}
		})
	}
}
