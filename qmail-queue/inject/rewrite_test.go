package inject

import (
	"bufio"
	"bytes"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"postrider/internal/fate"
	"postrider/internal/header"
	"postrider/internal/world"
)

// rewriteCases are fields, what they become, and the recipients in the order of
// the envelope. An empty result means that the field is dropped. The host is
// me.example.org, plusdomain plus.example.net.
var rewriteCases = []struct{ in, want, recipients string }{
	// Spec appendix A.9.
	{"To: djb fred, A (c) Person <x@host>, grp: g@h, i;",
		"To: djb@me.example.org, fred@me.example.org,\n  A (c) Person <x@host.me.example.org>, grp: g@h.me.example.org,\n  i@me.example.org;",
		"i@me.example.org g@h.me.example.org x@host.me.example.org fred@me.example.org djb@me.example.org"},

	// What an address lacks.
	{"To: joe", "To: joe@me.example.org", "joe@me.example.org"},
	{"To: joe@host", "To: joe@host.me.example.org", "joe@host.me.example.org"},
	{"To: joe@host.example.com", "To: joe@host.example.com", "joe@host.example.com"},
	{"To: joe@host+", "To: joe@host.plus.example.net", "joe@host.plus.example.net"},
	{"To: joe@a.host+", "To: joe@a.host.plus.example.net", "joe@a.host.plus.example.net"},
	{"To: joe@+", "To: joe@plus.example.net", "joe@plus.example.net"},
	{"To: joe@", "To: joe@me.example.org", "joe@me.example.org"},
	{"To: joe.", "To: joe@me.example.org", "joe@me.example.org"},
	{"To: joe@host.", "To: joe@host.me.example.org", "joe@host.me.example.org"},
	{"To: joe@example.com.", "To: joe@example.com", "joe@example.com"},
	{"To: joe@.", "To: joe@me.example.org", "joe@me.example.org"},
	{"To: joe@[127.0.0.1]", "To: joe@[127.0.0.1]", "joe@[127.0.0.1]"},
	{"To: joe@[IPv6:2001:db8::1]", "To: joe@[IPv6:2001:db8::1]", "joe@[IPv6:2001:db8::1]"},
	{"To: #@[]", "To: #@[]", "#@[]"},
	{"To: Joe <joe>", "To: Joe <joe@me.example.org>", "joe@me.example.org"},
	{"To: <joe@host>", "To: <joe@host.me.example.org>", "joe@host.me.example.org"},
	{"To: J\xc3\xb6rg <joe@b\xc3\xbccher>", "To: \"J\xc3\xb6rg\" <joe@b\xc3\xbccher.me.example.org>", "joe@b\xc3\xbccher.me.example.org"},

	// Blanks, comments, source routes.
	{"To: joe @ example . com", "To: joe@example.com", "joe@example.com"},
	{"To:joe@example.com", "To: joe@example.com", "joe@example.com"},
	{"To   : joe@example.com", "To: joe@example.com", "joe@example.com"},
	{"to: joe@example.com", "to: joe@example.com", "joe@example.com"},
	{"TO:\tjoe@example.com\t", "TO: joe@example.com", "joe@example.com"},
	{"To: joe@example.com (Joe)", "To: joe@example.com (Joe)", "joe@example.com"},
	{"To: (Joe) joe@example.com", "To: joe@example.com (Joe)", "joe@example.com"},
	{"To: joe (a) @ (b) example (c) . (d) com", "To: joe@example.com (a) (b) (c) (d)", "joe@example.com"},
	{"To: joe@example.com (a (b) c)", "To: joe@example.com (a (b) c)", "joe@example.com"},
	{`To: joe@example.com (a \) b)`, `To: joe@example.com (a \) b)`, "joe@example.com"},
	{"To: Joe < joe (x) @ example . com >", "To: Joe <joe@example.com>", "joe@example.com"},
	{"To: <@a.example:joe@example.com>", "To: <joe@example.com>", "joe@example.com"},
	{"To: <@a.example,@b.example:joe@example.com>", "To: <joe@example.com>", "joe@example.com"},
	{"To: <@a.example,@b.example:joe>", "To: <joe@me.example.org>", "joe@me.example.org"},
	{"To: <>", "To: <>", ""},
	{"To: Nobody <>, joe", "To: Nobody <>, joe@me.example.org", "joe@me.example.org"},

	// Quoting.
	{`To: "Joe" <joe@example.com>`, `To: "Joe" <joe@example.com>`, "joe@example.com"},
	{`To: "Joe, Jr." <joe@example.com>`, `To: "Joe, Jr." <joe@example.com>`, "joe@example.com"},
	{`To: "a \"b\" c" <joe@example.com>`, `To: "a \"b\" c" <joe@example.com>`, "joe@example.com"},
	{`To: "joe smith"@example.com`, `To: "joe smith"@example.com`, "joe smith@example.com"},
	{`To: "joe"@example.com`, `To: joe@example.com`, "joe@example.com"},
	{`To: "joe"."smith"@example.com`, `To: joe.smith@example.com`, "joe.smith@example.com"},
	{`To: joe\ smith@example.com`, `To: "joe smith"@example.com`, "joe smith@example.com"},
	{`To: joe\@home@example.com`, `To: "joe@home"@example.com`, "joe@home@example.com"},
	{`To: joe@home@example.com`, `To: "joe@home"@example.com`, "joe@home@example.com"},
	{`To: "joe@example.com"`, `To: "joe@example.com"@me.example.org`, "joe@example.com@me.example.org"},
	{`To: .joe@example.com`, `To: ".joe"@example.com`, ".joe@example.com"},
	{`To: joe..smith@example.com`, `To: "joe..smith"@example.com`, "joe..smith@example.com"},
	{"To: j\xf6@example.com", "To: \"j\xf6\"@example.com", "j\xf6@example.com"},
	{`To: Joe Q. Public <joe@example.com>`, `To: Joe Q. Public <joe@example.com>`, "joe@example.com"},
	{`To: J) <joe@example.com>`, `To: "J)" <joe@example.com>`, "joe@example.com"},
	{"To: J\x01 <joe@example.com>", "To: \"J\x01\" <joe@example.com>", "joe@example.com"},
	{"To: =?utf-8?Q?J=C3=B6?= <joe@example.com>", "To: =?utf-8?Q?J=C3=B6?= <joe@example.com>", "joe@example.com"},
	{"To: user%host@example.com", "To: user%host@example.com", "user%host@example.com"},
	{"To: host!user@example.com", "To: host!user@example.com", "host!user@example.com"},
	{"To: joe+tag=a/b@example.com", "To: joe+tag=a/b@example.com", "joe+tag=a/b@example.com"},

	// Lists and groups.
	{"To: a@x.org,b@x.org,c@x.org", "To: a@x.org, b@x.org, c@x.org", "c@x.org b@x.org a@x.org"},
	{"To: a@x.org,,b@x.org,", "To: a@x.org, b@x.org", "b@x.org a@x.org"},
	{"To: a@x.org; b@x.org", "To: a@x.org, b@x.org", "b@x.org a@x.org"},
	{"To: a@x.org b@x.org", "To: a@x.org, b@x.org", "b@x.org a@x.org"},
	{"To: <a@x.org> <b@x.org>", "To: <a@x.org>, <b@x.org>", "b@x.org a@x.org"},
	{"To: a@x.org, a@x.org", "To: a@x.org, a@x.org", "a@x.org a@x.org"},
	{"To: undisclosed-recipients:;", "To: undisclosed-recipients: ;", ""},
	{"To: undisclosed recipients: ;", "To: undisclosed recipients: ;", ""},
	{"To: friends: a, b@x.org;", "To: friends: a@me.example.org, b@x.org;", "b@x.org a@me.example.org"},
	{"To: friends: Joe <a>, Jim <b>;, c", "To: friends: Joe <a@me.example.org>, Jim <b@me.example.org>;, c@me.example.org", "c@me.example.org b@me.example.org a@me.example.org"},
	{"To: \"my friends\": a;", "To: \"my friends\": a@me.example.org;", "a@me.example.org"},
	{"To: a: b; c: d;", "To: a: b@me.example.org;, c: d@me.example.org;", "d@me.example.org b@me.example.org"},
	{"To:", "To:", ""},
	{"To: ", "To:", ""},
	{"To: (nobody)", "To: (nobody)", ""},

	// Folding.
	{"To: a@x.org,\n b@x.org,\n\tc@x.org", "To: a@x.org, b@x.org, c@x.org", "c@x.org b@x.org a@x.org"},
	{"To: \"Joe\n  Public\" <a@x.org>", "To: \"Joe  Public\" <a@x.org>", "a@x.org"},
	{"To: Joe\n Public\n <a@x.org>", "To: Joe Public <a@x.org>", "a@x.org"},
	{"To: a@x.org (one\n two)", "To: a@x.org (one two)", "a@x.org"},
	{"To: aaaaaaaaaaaaaaaaaaaaaaaa@x.org, bbbbbbbbbbbbbbbbbbbbbbbbbbb@x.org, ccccccccccccc@x.org",
		"To: aaaaaaaaaaaaaaaaaaaaaaaa@x.org, bbbbbbbbbbbbbbbbbbbbbbbbbbb@x.org,\n  ccccccccccccc@x.org",
		"ccccccccccccc@x.org bbbbbbbbbbbbbbbbbbbbbbbbbbb@x.org aaaaaaaaaaaaaaaaaaaaaaaa@x.org"},

	// Which fields.
	{"Cc: joe", "Cc: joe@me.example.org", "joe@me.example.org"},
	{"Bcc: joe", "", "joe@me.example.org"},
	{"bcc: joe, jim@x.org", "", "jim@x.org joe@me.example.org"},
	{"Apparently-To: joe", "Apparently-To: joe@me.example.org", "joe@me.example.org"},
	{"Resent-To: joe", "Resent-To: joe@me.example.org", "joe@me.example.org"},
	{"Resent-Cc: joe", "Resent-Cc: joe@me.example.org", "joe@me.example.org"},
	{"Resent-Bcc: joe", "", "joe@me.example.org"},
	{"Sender: joe", "Sender: joe@me.example.org", ""},
	{"From: joe", "From: joe@me.example.org", ""},
	{"From: Joe <joe@x>, Jim", "From: Joe <joe@x.me.example.org>, Jim@me.example.org", ""},
	{"Reply-To: joe", "Reply-To: joe@me.example.org", ""},
	{"Return-Receipt-To: joe", "Return-Receipt-To: joe@me.example.org", ""},
	{"Errors-To: joe", "Errors-To: joe@me.example.org", ""},
	{"Resent-Sender: joe", "Resent-Sender: joe@me.example.org", ""},
	{"Resent-From: joe", "Resent-From: joe@me.example.org", ""},
	{"Resent-Reply-To: joe", "Resent-Reply-To: joe@me.example.org", ""},
	{"Return-Path: <joe>", "", ""},
	{"Return-Path: <>", "", ""},
	{"Content-Length: 17", "", ""},
	{"content-length : 17", "", ""},
	{"Subject: joe, jim  @ x", "Subject: joe, jim  @ x", ""},
	{"Subject: \xff\x01 (", "Subject: \xff\x01 (", ""},
	{"Disposition-Notification-To: joe", "Disposition-Notification-To: joe", ""},
	{"X-To: joe", "X-To: joe", ""},
	{"Mail-Reply-To: joe", "Mail-Reply-To: joe", ""},
	{"Received: by x; now,\n\tlater", "Received: by x; now,\n\tlater", ""},
	{"Delivered-To: joe", "Delivered-To: joe", ""},
	{"Reply-To: ;", "Reply-To:", ""},
}

func plusHome(t testing.TB) string {
	return home(t, controlFiles{"me": "me.example.org\n", "plusdomain": "plus.example.net\n"})
}

// testComposer returns a composer as `qmail-inject -h` has it.
func testComposer(t testing.TB, source source, dir string) (*composer, *bytes.Buffer) {
	t.Helper()
	w := world.World{
		Args:    []string{"qmail-inject"},
		Environ: []string{"USER=user"},
		Home:    dir,
		Clock:   fixedClock{},
	}
	c, err := newComposer(w, request{source: source})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c.writeTo(bufio.NewWriter(&out))
	return c, &out
}

// compose returns the header that head becomes without what is added, and the
// recipients.
func (c *composer) compose(out *bytes.Buffer, head string) (string, []string, error) {
	if err := c.look(head); err != nil {
		return "", nil, err
	}
	if err := c.generate(head); err != nil {
		return "", nil, err
	}
	if err := c.out.Flush(); err != nil {
		return "", nil, err
	}
	out.Reset()
	for rest := head; rest != ""; {
		var field string
		field, rest = header.Next(rest)
		if err := c.field(field); err != nil {
			return "", nil, err
		}
	}
	if err := c.out.Flush(); err != nil {
		return "", nil, err
	}
	var recipients []string
	err := c.forEach(func(r string) error {
		recipients = append(recipients, r)
		return nil
	})
	return out.String(), recipients, err
}

func TestRewrite(t *testing.T) {
	t.Parallel()
	if len(rewriteCases) < 100 {
		t.Errorf("only %d cases", len(rewriteCases))
	}
	dir := plusHome(t)
	for _, c := range rewriteCases {
		composer, out := testComposer(t, fromHeader, dir)
		got, recipients, err := composer.compose(out, c.in+"\n")
		want := c.want
		if want != "" {
			want += "\n"
		}
		if err != nil || got != want || strings.Join(recipients, " ") != c.recipients {
			t.Errorf("%q:\n got %q to %q, error %v\nwant %q to %q", c.in, got, recipients, err, want, c.recipients)
		}
	}
}

// TestUnreadable shows R48 and spec section 7.1: a field that names recipients,
// or a sender, and cannot be read stops the message.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	dir := plusHome(t)
	for _, c := range []struct{ in, shows string }{
		{"To: foo: a@b, c@d", "To: foo: a@b, c@d\n(group"},
		{"To: (joe", "To: (joe\n(parenthesis"},
		{`To: "joe`, "quotation mark"},
		{"To: <joe", "angle bracket"},
		{"To: joe>", "angle bracket"},
		{"To: joe@[1", "bracket"},
		{"To: <a b@c>", "angle brackets"},
		{"To: <a@b,c@d>", "angle brackets"},
		{"To: @x", "local part"},
		{"To: <.>", "local part"},
		{"To: a@b@.@", "domain"},
		{"To: joe\rBcc: jim@x", "To: joe?Bcc: jim@x"},
		{"To: joe\x00@x", "joe?@x"},
		{"To: \"joe\t\"@x", "control byte"},
		{"To: " + strings.Repeat("x", 1000) + "@y", "too long"},
		{"Cc: a@b c: d;", "group name"},
		{"Bcc: (", "Bcc: ("},
		{"Apparently-To: (", "Apparently-To: ("},
		{"From: (", "From: ("},
		{"Sender: a: b", "Sender: a: b"},
		{"Return-Path: (", "Return-Path: ("},
		{"Reply-To: <", "Reply-To: <"},
		{"Resent-From: <", "Resent-From: <"},
		{"Resent-Bcc: <", "Resent-Bcc: <"},
		{"To: a" + strings.Repeat(",a", maxAddresses), "more than 300000 addresses"},
	} {
		composer, out := testComposer(t, fromBoth, dir)
		_, _, err := composer.compose(out, c.in+"\n")
		var e *fate.Error
		if !errors.As(err, &e) || e.Class != fate.Permanent || !strings.Contains(e.Text, c.shows) {
			t.Errorf("%.60q: got %v, want an error that shows %q", c.in, err, c.shows)
		}
	}
}

// TestUnreadableButUnused: what names no recipient of this sending passes
// unchanged.
func TestUnreadableButUnused(t *testing.T) {
	t.Parallel()
	dir := plusHome(t)
	for _, c := range []struct {
		source source
		in     string
	}{
		{fromArguments, "To: foo: a@b, c@d\n"},
		{fromArguments, "Cc: (\n"},
		{fromHeader, "To: (\nResent-To: joe@x.org\n"},
		{fromArguments, "To: " + strings.Repeat("x", 1000) + "@y\n"},
	} {
		composer, out := testComposer(t, c.source, dir)
		got, _, err := composer.compose(out, c.in)
		if err != nil || got != c.in {
			t.Errorf("%.60q: got %q, error %v", c.in, got, err)
		}
	}
}

// TestLargeHeader shows R43: headers of 4 MiB take linear time. Quadratic time
// would be hours of CPU.
func TestLargeHeader(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	dir := plusHome(t)
	fill := func(s string) string { return strings.Repeat(s, (maxHeader-100)/len(s)) }
	for _, c := range []struct{ name, in string }{
		{"realistic recipients", "Bcc: " + fill("someone@example.org,\n ") + "joe@example.org\n"},
		{"shortest recipients", "To: " + fill("a,") + "\n"},
		{"words", "To: " + fill("a ") + "\n"},
		{"fields", fill("To:\n")},
		{"unknown fields", fill("a:\n")},
		{"resent fields", fill("To: a\n") + "Resent-To: b\n"},
		{"comments", "To: " + fill("(") + "\n"},
		{"phrase", "To: " + fill("\xff ") + "<a@b>\n"},
		{"groups", "To: " + fill("a:;") + "\n"},
	} {
		composer, out := testComposer(t, fromBoth, dir)
		before := cpuTime(t)
		_, recipients, err := composer.compose(out, c.in)
		took := cpuTime(t) - before
		if took > 30*time.Second {
			t.Errorf("%s: took %v", c.name, took)
		}
		t.Logf("%-22s %7d recipients, %v, error %.60v", c.name, len(recipients), took, err)
	}
}

// FuzzCompose: what is accepted is a header, its recipients are clean, and
// queued again it is the same.
func FuzzCompose(f *testing.F) {
	for _, c := range rewriteCases {
		f.Add(c.in + "\n")
	}
	f.Add("To: a\nResent-To: b\nBcc: c\n d\n")
	dir := plusHome(f)
	f.Fuzz(func(t *testing.T, in string) {
		msg, err := readHeader(strings.NewReader(in))
		if err != nil {
			return
		}
		composer, out := testComposer(t, fromHeader, dir)
		once, recipients, err := composer.compose(out, msg.head)
		if err != nil {
			return
		}
		for _, r := range recipients {
			if strings.ContainsAny(r, "\r\n\x00\t") || !strings.Contains(r, "@") {
				t.Fatalf("%q names %q", in, r)
			}
		}
		read, err := readHeader(strings.NewReader(once))
		if err != nil || read.head != once {
			t.Fatalf("%q became %q, which has the header %q", in, once, read.head)
		}
		composer, out = testComposer(t, fromHeader, dir)
		if twice, _, err := composer.compose(out, once); err != nil || twice != once {
			t.Fatalf("%q became %q, then %q, error %v", in, once, twice, err)
		}
	})
}
