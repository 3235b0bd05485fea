package header

import (
	"errors"
	"strings"
	"testing"
	"time"

	"postrider/internal/address"
)

// The longest address is one, and a byte more is not, whichever way it is read:
// plain, with a quoted part, in angle brackets, or from elsewhere.
func TestLongestAddress(t *testing.T) {
	t.Parallel()
	host := strings.Repeat("h", 200)
	for _, c := range []struct {
		extra int
		want  error
	}{{0, nil}, {1, ErrLong}} {
		local := strings.Repeat("a", address.MaxLen-1-len(host)+c.extra)
		alone := strings.Repeat("a", address.MaxLen+c.extra)
		if a, err := NewAddr(local, host); !errors.Is(err, c.want) || err == nil && a.String() != local+"@"+host {
			t.Errorf("%d bytes too many: %v", c.extra, err)
		}
		if _, err := NewAddr(alone, ""); !errors.Is(err, c.want) {
			t.Errorf("%d bytes too many without a domain: %v", c.extra, err)
		}
		for _, text := range []string{
			local + "@" + host, local + "@" + host + " b@c", `"` + local + `"@` + host, "<" + local + "@" + host + ">", "a, " + local + "@" + host,
			local + "@" + host + ".", alone, alone + ",b", "<" + alone + ">",
		} {
			if _, addrs, err := reprint(t, text); !errors.Is(err, c.want) || err == nil && !strings.Contains(strings.Join(addrs, " "), local) {
				t.Errorf("%d bytes too many: %.20q: %v", c.extra, text, err)
			}
		}
	}
	if _, err := NewAddr("", "h"); err != ErrLocal {
		t.Errorf("no local part: %v", err)
	}
	for c, want := range map[string]error{"\x00": ErrControl, "\x1f": ErrControl, " ": nil, "~": nil, "\x7f": ErrControl, "\x80": nil} {
		if _, err := NewAddr("a"+c, "h"); err != want {
			t.Errorf("%q: %v", c, err)
		}
		if _, err := NewAddr(c+"a", ""); err != want {
			t.Errorf("%q in front: %v", c, err)
		}
	}
}

// The longest member of a list is one, and a byte more is not.
func TestLongestItem(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"* <a@b>", "a@b (*)", "<a@b> (*)", "(*)", "*:;"} {
		for extra, want := range map[int]error{0: nil, 1: ErrLongItem} {
			whole := strings.TrimSuffix(form, ";")
			text := strings.Replace(form, "*", strings.Repeat("x ", maxItem)[:maxItem-len(whole)+extra]+"y", 1)
			if _, _, err := reprint(t, text); !errors.Is(err, want) {
				t.Errorf("%s, %d bytes too many: %v", form, extra, err)
			}
		}
	}
}

// A domain has no byte that none has and no empty label, a literal none of its
// own brackets.
func TestCheckHost(t *testing.T) {
	t.Parallel()
	for host, fine := range map[string]bool{
		"": true, "a": true, "a.b": true, "[1.2.3.4]": true, "[IPv6:::1]": true, "[]": true, "[..]": true, "\xc3\xb6.de": true, "a_b": true,
		".a": false, "a.": false, "a..b": false, "[": false, "]": false, "a]": false, "[a": false, "[[]": false, "[]]": false, "a:b": false,
		"a b": false, "[a b]": false, "a\x1f": false, "a\x7f": false, "[\x00]": false, "a(b": false, "a)b": false, "a<b": false, "a>b": false,
		"a@b": false, "a,b": false, "a;b": false, `a\b`: false, `a"b`: false, ".": false,
	} {
		if err := CheckHost(host); (err == nil) != fine || !fine && err != ErrDomain {
			t.Errorf("%q: %v", host, err)
		}
	}
}

// An address is read from anywhere in a text, or refused with the reason.
func TestAddrAt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		at   int
		want string
		err  error
	}{
		{"x, a@b", 2, "a@b", nil}, {"a@b c", 0, "a@b", nil}, {"(c) a@b", 0, "a@b", nil}, {"a", 0, "a", nil}, {"a;b", 0, "a", nil}, {"Joe <a@b>", 4, "a@b", nil},
		{`"a`, 0, "", ErrQuotes}, {`a"x`, 0, "", ErrQuotes}, {`a."x`, 0, "", ErrQuotes}, {`a@[1`, 0, "", ErrLiteral}, {"(a", 0, "", ErrComment}, {"a(b", 0, "", ErrComment},
		{`<"a`, 0, "", ErrQuotes}, {`<a"b`, 0, "", ErrQuotes}, {`<@"a`, 0, "", ErrQuotes}, {`<@h:"a`, 0, "", ErrQuotes}, {`<@h,"a`, 0, "", ErrQuotes}, {`<@h`, 0, "", ErrRoute},
		{"<@[1.2.3.4].x,@h:a@b>", 0, "a@b", nil}, {"<@h@", 0, "", ErrRoute}, {"<@h<", 0, "", ErrRoute}, {"<@\"h\":a@b>", 0, "", ErrRoute},
		{"", 0, "", ErrLocal}, {"a@b@", 0, "a@b", nil}, {"a@b.@", 0, "", ErrDomain}, {"a@b@.", 0, "a@b", nil}, {"a@@.", 0, "", ErrDomain}, {"@@a", 0, "@@a", nil},
		{`a@"b".c`, 0, "", ErrDomain}, {`a@"b"@c`, 0, "a@b@c", nil}, {`"b"@c`, 0, "b@c", nil},
	} {
		a, err := AddrAt(c.text, c.at)
		if err != c.err || err == nil && a.String() != c.want {
			t.Errorf("%q at %d: %q, %v, want %q, %v", c.text, c.at, a, err, c.want, c.err)
		}
	}
}

// The header of a message ends behind its empty line, in whatever pieces it
// comes.
func TestHeaderOctets(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"": 0, "\n": 1, "\nbody": 1, "A: b\n\nbody": 6, "A: b\nReceived: c\n": 17, "Received: x\n\n\n": 13, "Rec\n\nx\n": 5} {
		for split := range len(text) + 1 {
			var h HopCounter
			h.Add([]byte(text[:split]))
			h.Add([]byte(text[split:]))
			if h.Header != want {
				t.Errorf("%q split at %d: %d octets, want %d", text, split, h.Header, want)
			}
		}
	}
	var h HopCounter
	h.Add([]byte("[eceived\n@elivered\nZeceived\nReCeIvEd\nDELIVERED\n"))
	if h.Hops != 2 {
		t.Errorf("%d hops", h.Hops)
	}
}

// What a Received line says, and what of a stranger's words it leaves out.
func TestReceived(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 0, 30, 28, 0, time.UTC)
	for _, c := range []struct {
		r    Received
		want string
	}{
		{Received{Host: "h", IP: "1.2.3.4", By: "us", Protocol: "SMTP"}, "from h (1.2.3.4)\n  by us with SMTP"},
		{Received{Host: "h", Helo: "H", HasHelo: true, IP: "1.2.3.4", By: "us", Protocol: "SMTP"}, "from h (1.2.3.4)\n  by us with SMTP"},
		{Received{Host: "h", Helo: "x", IP: "1.2.3.4", By: "us", Protocol: "SMTP"}, "from h (1.2.3.4)\n  by us with SMTP"},
		{Received{Host: "h", Helo: "a b", HasHelo: true, IP: "1.2.3.4", Info: "who", HasInfo: true, By: "us", Protocol: "ESMTP"},
			"from h (HELO a?b) (who@1.2.3.4)\n  by us with ESMTP"},
		{Received{Host: "h\n", Helo: "", HasHelo: true, IP: "(", Info: "", HasInfo: true, By: ";", Protocol: "A (b)"}, "from h? (HELO ) (@?)\n  by ? with A (b)"},
		{Received{Host: strings.Repeat("x", maxPart+1), IP: "1", By: strings.Repeat("y", maxPart), Protocol: "P"},
			"from " + strings.Repeat("x", maxPart) + " (1)\n  by " + strings.Repeat("y", maxPart) + " with P"},
	} {
		got := string(c.r.Append([]byte("> "), now))
		rest, ok := strings.CutPrefix(got, "> Received: "+c.want+"; ")
		if !ok || !strings.HasPrefix(rest, "22 Nov 2026 00:30:28 ") || strings.Count(rest, "\n") != 1 || !strings.HasSuffix(rest, "\n") {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	for c := range 256 {
		b := byte(c)
		fine := b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b < 128 && strings.IndexByte(".@%+/=:-[]", b) >= 0
		if got := AppendSafe(nil, string([]byte{b})); len(got) != 1 || (got[0] == b) != (fine || b == '?') || !fine && got[0] != '?' {
			t.Errorf("%q is written as %q", b, got)
		}
	}
}

// broken is a writer that takes some bytes.
type broken struct{ left int }

var errBroken = errors.New("broken")

func (b *broken) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

// A writer that fails is told of, wherever that is; and one Printer writes one
// field after another.
func TestWriterFails(t *testing.T) {
	t.Parallel()
	const list = "a@b, Joe <c@d>, g: e@f;"
	one := 0
	next := func() (Addr, bool) { one++; return Addr{"a", "b"}, one%2 == 1 }
	const lines = "X: a@b\n"
	for n := range len("X: "+list+"\n") + 1 {
		if err := NewPrinter(&broken{n}).Field("X", list, same); (err != nil) != (n < len("X: "+list+"\n")) || err != nil && err != errBroken {
			t.Errorf("after %d bytes: %v", n, err)
		}
		if err := NewPrinter(&broken{n}).Addrs("X", next); (err != nil) != (n < len(lines)) {
			t.Errorf("addresses, after %d bytes: %v", n, err)
		}
		one = 0
	}
	var out strings.Builder
	p := NewPrinter(&out)
	for range 2 {
		if err := p.Field("X", `"a`, same); err == nil {
			t.Error("half a quoted string is printed")
		}
		out.Reset()
		if err := p.Field("Y", "a@b, c@d", same); err != nil || out.String() != "Y: a@b, c@d\n" {
			t.Errorf("after an error: %q, %v", out.String(), err)
		}
	}
}

// Words of a phrase stay what they are, and are quoted where they have to be.
func TestPhrases(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"! <a@b>": "! <a@b>", "~ <a@b>": "~ <a@b>", "\x1f <a@b>": "\"\x1f\" <a@b>", "\x7f <a@b>": "\"\x7f\" <a@b>", "a)b <a@b>": `"a)b" <a@b>`, "a]b <a@b>": `"a]b" <a@b>`,
		`a\\b <a@b>`: `"a\\b" <a@b>`, `a\"b <a@b>`: `"a\"b" <a@b>`, "a.b <a@b>": "a.b <a@b>", "a . b <a@b>": "a . b <a@b>", `a"b" <a@b>`: `a "b" <a@b>`, "a(b)c <a@b>": "a (b) c <a@b>",
		"[x]y <a@b>": "[x] y <a@b>", "a(b):;": "a (b): ;", ". <a@b>": ". <a@b>", "<a@b>(x)(y)": "<a@b> (x) (y)", "(x)(y)": "(x) (y)", "<a@b>\t(x)\n (y)": "<a@b> (x) (y)",
		"\"\" <a@b>": `"" <a@b>`,
	} {
		if got, _, err := reprint(t, in); err != nil || got != want {
			t.Errorf("%q: %q, %v, want %q", in, got, err, want)
		}
	}
}

// What is no field is all text, and its lines are those that it has.
func TestOddFields(t *testing.T) {
	t.Parallel()
	if f := Split("no field\n"); f != (Field{Body: "no field\n"}) {
		t.Errorf("got %+v", f)
	}
	if f := Split("A :b:c"); f != (Field{"A", "b:c"}) {
		t.Errorf("got %+v", f)
	}
	for head, want := range map[string][2]string{"": {"", ""}, "A: b": {"A: b", ""}, "A: b\nC": {"A: b\n", "C"}, "A: b\n C": {"A: b\n C", ""}, "\n\n": {"\n", "\n"}} {
		if field, rest := Next(head); field != want[0] || rest != want[1] {
			t.Errorf("%q: %q, %q", head, field, rest)
		}
	}
	for line, want := range map[string]bool{"": false, " ": true, "\t": true, "a": false, "\n": false} {
		if Continues(line) != want {
			t.Errorf("%q continues: %v", line, !want)
		}
	}
}
