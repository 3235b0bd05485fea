package header

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func same(item Item) (Addr, error) { return item.Addr, nil }

// reprint returns body as a Printer writes it, without the name, and the
// addresses of it.
func reprint(t testing.TB, body string) (string, []string, error) {
	t.Helper()
	var out bytes.Buffer
	if err := NewPrinter(&out).Field("X", body, same); err != nil {
		return "", nil, err
	}
	var addrs []string
	p := NewParser(body)
	for {
		item, ok := p.Next()
		if !ok {
			break
		}
		if item.Kind != Mailbox {
			continue
		}
		addrs = append(addrs, item.Addr.String())
		if again, err := AddrAt(body, item.At); err != nil || again != item.Addr {
			t.Errorf("%q: AddrAt(%d) = %v, %v, want %v", body, item.At, again, err, item.Addr)
		}
	}
	if p.Err() != nil {
		t.Errorf("%q: printed, but the second reading says %v", body, p.Err())
	}
	text := strings.TrimSuffix(strings.TrimPrefix(out.String(), "X:"), "\n")
	return strings.TrimPrefix(text, " "), addrs, nil
}

func TestList(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, printed, addrs string }{
		{"", "", ""},
		{"a@b", "a@b", "a@b"},
		{" a @ b . c ", "a@b.c", "a@b.c"},
		{"a@b,c@d", "a@b, c@d", "a@b c@d"},
		{"a@b,,c@d,", "a@b, c@d", "a@b c@d"},
		{"a@b;c@d; e@f", "a@b, c@d, e@f", "a@b c@d e@f"},
		{"djb fred", "djb, fred", "djb fred"},
		{"a@b c@d", "a@b, c@d", "a@b c@d"},
		{"a@b <c@d>", "a@b <c@d>", "c@d"},
		{"<a@b> <c@d>", "<a@b>, <c@d>", "a@b c@d"},
		{"<a@b> c@d", "<a@b>, c@d", "a@b c@d"},
		{"Joe <a@b> Jim <c@d>", "Joe <a@b>, Jim <c@d>", "a@b c@d"},
		{"Joe Q. Public <a@b>", "Joe Q. Public <a@b>", "a@b"},
		{"Joe Q.Public<a@b>", "Joe Q.Public <a@b>", "a@b"},
		{`"Joe, Q." <a@b>`, `"Joe, Q." <a@b>`, "a@b"},
		{`"a\"b" <a@b>`, `"a\"b" <a@b>`, "a@b"},
		{`J\(oe <a@b>`, `"J(oe" <a@b>`, "a@b"},
		{"J\xc3\xb6rg <a@b>", "\"J\xc3\xb6rg\" <a@b>", "a@b"},
		{"=?utf-8?Q?J=C3=B6rg?= <a@b>", "=?utf-8?Q?J=C3=B6rg?= <a@b>", "a@b"},
		{"John [Work] <a@b>", "John [Work] <a@b>", "a@b"},
		{"a@b (Joe)", "a@b (Joe)", "a@b"},
		{"(Joe) a@b", "a@b (Joe)", "a@b"},
		{"a (x) @ (y) b", "a@b (x) (y)", "a@b"},
		{"a (x) b", "a, b (x)", "a b"},
		{"a b (x)", "a, b (x)", "a b"},
		{"a@b ((nested) \\) comment)", "a@b ((nested) \\) comment)", "a@b"},
		{"(only)", "(only)", ""},
		{"(only), a@b", "(only), a@b", "a@b"},
		{"A (c) Person <x@host> (d)", "A (c) Person <x@host> (d)", "x@host"},
		{"<a (c) @ b>", "<a@b>", "a@b"},
		{"<>", "<>", ""},
		{"Joe <>", "Joe <>", ""},
		{"<@h1,@h2:a@b>", "<a@b>", "a@b"},
		{"<@h1:a@b>", "<a@b>", "a@b"},
		{"grp: g@h, i;", "grp: g@h, i;", "g@h i"},
		{"grp:;", "grp: ;", ""},
		{"My (c) group: a@b; d@e", "My (c) group: a@b;, d@e", "a@b d@e"},
		{"g: a;, h: b;", "g: a;, h: b;", "a b"},
		{"g: a; h: b;", "g: a;, h: b;", "a b"},
		{"a@b.", "a@b", "a@b"},
		{"a@", "a", "a"},
		{"a@.", "a", "a"},
		{"a@b@", "a@b", "a@b"},
		{"a.", "a", "a"},
		{".a@b", `".a"@b`, ".a@b"},
		{"a@b@c", `"a@b"@c`, "a@b@c"},
		{`"a b"@c`, `"a b"@c`, "a b@c"},
		{`"a b".d@c`, `"a b.d"@c`, "a b.d@c"},
		{`"plain"@c`, `plain@c`, "plain@c"},
		{`a\@b@c`, `"a@b"@c`, "a@b@c"},
		{`"a@b"`, `"a@b"`, "a@b"},
		{"a@[127.0.0.1]", "a@[127.0.0.1]", "a@[127.0.0.1]"},
		{"a@[IPv6:::1]", "a@[IPv6:::1]", "a@[IPv6:::1]"},
		{"#@[]", "#@[]", "#@[]"},
		{"j\xf6@x", "\"j\xf6\"@x", "j\xf6@x"},
		{"a@b\xc3\xbccher.example", "a@b\xc3\xbccher.example", "a@b\xc3\xbccher.example"},
		{"a@b,\n\tc@d", "a@b, c@d", "a@b c@d"},
		{"\"Joe\n Doe\" <a@b>", "\"Joe Doe\" <a@b>", "a@b"},
		{"\"Joe\\\n Doe\" <a@b>", "\"Joe\\ Doe\" <a@b>", "a@b"},
		{"(x\n y) a@b", "a@b (x y)", "a@b"},
		{`"Joe" a@b`, `Joe, a@b`, "Joe a@b"},
	} {
		printed, addrs, err := reprint(t, c.in)
		// The null address shows as an empty word.
		if got := strings.TrimSpace(strings.Join(addrs, " ")); err != nil || printed != c.printed || got != c.addrs {
			t.Errorf("%q:\n got %q, addresses %q, error %v\nwant %q, addresses %q", c.in, printed, got, err, c.printed, c.addrs)
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in  string
		err error
	}{
		{`"a@b`, ErrQuotes},
		{`"a@b\"`, ErrQuotes},
		{"a@b (c", ErrComment},
		{"a@b (c (d)", ErrComment},
		{"a@[1", ErrLiteral},
		{`a@b\`, ErrBackslash},
		{"<a@b", ErrAngle},
		{"Joe a@b>", ErrAngle},
		{"<a@b>>", ErrAngle},
		{"<<a@b>>", ErrNoAddress},
		{"<a b@c>", ErrNoAddress},
		{"<a@b, c@d>", ErrNoAddress},
		{"<mailto:a@b>", ErrNoAddress},
		{"<@h>", ErrRoute},
		{"<@h:>", ErrLocal},
		{"<@h;:a@b>", ErrRoute},
		{"@h", ErrLocal},
		{"@", ErrLocal},
		{".", ErrLocal},
		{"<.>", ErrLocal},
		{`""@x`, ErrLocal},
		{`<"">`, ErrLocal},
		{"a@@", ErrDomain},
		{`a@"b c"`, ErrDomain},
		{`a@b\ c`, ErrDomain},
		{`a@b\@c`, ErrDomain},
		{"a@[b c]", ErrDomain},
		{"a@[b\\]c]", ErrDomain},
		{"a@b]", ErrDomain},
		{"a@b..c", ErrDomain},
		{"a@.b", ErrDomain},
		{"a@b..", ErrDomain},
		{"a@[1].x", ErrDomain},
		{"foo: a@b, c@d", ErrGroup},
		{"foo: bar: a@b;", ErrGroup},
		{": a@b;", ErrGroupName},
		{"(x): a@b;", ErrGroupName},
		{"a@b c: d@e;", ErrGroupName},
		{"a@b, mailto:c@d", ErrGroup},
		{"a\rb@c", ErrByte},
		{"\"a\\\rb\"@c", ErrByte},
		{"a@b (\r)", ErrByte},
		{"a\x00@b", ErrByte},
		{"\"a\tb\"@c", ErrControl},
		{"a\x1b@b", ErrControl},
		{"a@b\x7f", ErrDomain},
		{strings.Repeat("a", 1001) + "@b", ErrLong},
		{strings.Repeat("a.", 100000) + "@b", ErrLong},
		{strings.Repeat("a ", 40000) + "<a@b>", ErrLongItem},
		{"a@b (" + strings.Repeat("a ", 40000) + ")", ErrLongItem},
		{"<a@b> (" + strings.Repeat("a ", 40000) + ")", ErrLongItem},
		{strings.Repeat("a ", 40000) + ":;", ErrLongItem},
		{strings.Repeat("()", 40000), ErrLongItem},
		{"\"" + strings.Repeat("a", 100000) + "\"@b", ErrLong},
	} {
		if printed, _, err := reprint(t, c.in); !errors.Is(err, c.err) {
			t.Errorf("%.60q: got %q, error %v, want %v", c.in, printed, err, c.err)
		}
	}
}

func TestFolding(t *testing.T) {
	t.Parallel()
	addr := func(n int) string { return strings.Repeat("x", n-2) + "@y" }
	for _, c := range []struct{ name, in, want string }{
		{"up to 78 columns on one line", addr(30) + "," + addr(43), "X: " + addr(30) + ", " + addr(43) + "\n"},
		{"79 fold", addr(30) + "," + addr(44), "X: " + addr(30) + ",\n  " + addr(44) + "\n"},
		{"the comma counts", addr(30) + "," + addr(43) + "," + addr(5), "X: " + addr(30) + ",\n  " + addr(43) + ", " + addr(5) + "\n"},
		{"the first never", addr(90), "X: " + addr(90) + "\n"},
		{"after a long one", addr(90) + ",a@b", "X: " + addr(90) + ",\n  a@b\n"},
		{"a group's name and first member stay together", addr(30) + ",a b c: " + addr(40) + ",d@e;", "X: " + addr(30) + ",\n  a b c: " + addr(40) + ", d@e;\n"},
	} {
		var out bytes.Buffer
		if err := NewPrinter(&out).Field("X", c.in, same); err != nil || out.String() != c.want {
			t.Errorf("%s: got %q, %v\nwant %q", c.name, out.String(), err, c.want)
		}
	}
}

func TestAddrs(t *testing.T) {
	t.Parallel()
	list := []Addr{{"a", "b"}, {"c d", "e"}}
	var out bytes.Buffer
	err := NewPrinter(&out).Addrs("Mail-Followup-To", func() (Addr, bool) {
		if len(list) == 0 {
			return Addr{}, false
		}
		a := list[0]
		list = list[1:]
		return a, true
	})
	if want := "Mail-Followup-To: a@b,\n  \"c d\"@e\n"; err != nil || out.String() != want {
		t.Errorf("got %q, %v, want %q", out.String(), err, want)
	}
}

// FuzzList: what is accepted prints to something that is accepted, holds the
// same addresses, and prints to itself.
func FuzzList(f *testing.F) {
	for _, s := range []string{
		"djb fred, A (c) Person <x@host>, grp: g@h, i;", `"a\"b" <@h1,@h2:j@k>; (x) y`, "a (x) @ [1.2.3.4]",
		"\"J\\\n o\" (x\\\n)y\\\n\\\n z <>", "g:;h:a b;c", `a\@b@c. (\)) .d`, "<\"a b\"@c> d@e <f>", "(x), \xff\\\xff:;,",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		once, addrs, err := reprint(t, in)
		if err != nil {
			return
		}
		for _, a := range addrs {
			if strings.ContainsAny(a, "\r\n\x00\x1b\t") || len(a) > 1002 {
				t.Fatalf("%q holds the address %q", in, a)
			}
		}
		twice, addrs2, err := reprint(t, once)
		if err != nil {
			t.Fatalf("%q printed is %q, which is refused: %v", in, once, err)
		}
		// Folding looks at what is printed, so only the text around it moves.
		if twice != once || strings.Join(addrs, "\x00") != strings.Join(addrs2, "\x00") {
			t.Fatalf("%q:\nonce  %q %q\ntwice %q %q", in, once, addrs, twice, addrs2)
		}
	})
}

// No line end and no NUL hides in any place of a list (R37), nor behind a
// backslash, and none is taken for something else.
func TestBadBytesAnywhere(t *testing.T) {
	t.Parallel()
	const list = `Joe "q\"x" Smith (c(d)\) e) <@route.x,@y:joe.b@[1.2.3.4] (z)>, a@b (note), g: x@y, "a b"@[10.0.0.1] ;, w.\,v@z (end)`
	if _, _, err := reprint(t, list+"\n"); err != nil {
		t.Fatal(err)
	}
	for i := range list {
		for _, bad := range []string{"\r", "\x00", "\\\r", "\\\x00"} {
			text := list[:i] + bad + list[i:]
			if _, items, err := reprint(t, text+"\n"); err == nil {
				t.Errorf("%q is taken: %q", text, items)
			}
		}
	}
}

func TestAppendQuotedWords(t *testing.T) {
	t.Parallel()
	if got := string(AppendString(nil, `a "b" \c`)); got != `"a \"b\" \\c"` {
		t.Errorf("%s", got)
	}
	if got := (Addr{"a b", "x.example"}).Quoted(); got != `"a b"@x.example` {
		t.Errorf("%s", got)
	}
	if got := string(AppendSafe(nil, "azAZ09.@%+/=:-[]_\"(\n\xff")); got != "azAZ09.@%+/=:-[]?????" {
		t.Errorf("%s", got)
	}
}

// Who rewrites addresses and fails is told so, wherever the address stands.
func TestRewritingFails(t *testing.T) {
	t.Parallel()
	no := errors.New("no")
	for _, list := range []string{" a@b, c@d\n", " Joe <c@d>\n", " g: a@b, c@d;\n"} {
		var out strings.Builder
		p := NewPrinter(&out)
		err := p.Field("To", list, func(i Item) (Addr, error) {
			if i.Addr.Local == "c" {
				return Addr{}, no
			}
			return i.Addr, nil
		})
		if err != no {
			t.Errorf("%q: %v", list, err)
		}
	}
}
