package address

import (
	"errors"
	"strings"
	"testing"
)

func TestNew(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, local, domain string
		err               error
	}{
		{"", "", "", nil},
		{"joe", "joe", "", nil},
		{"joe@example.org", "joe", "example.org", nil},
		{"a@b@example.org", "a@b", "example.org", nil},
		{"@example.org", "", "example.org", nil},
		{"#@[]", "#", "[]", nil},
		{"list-@h.org-@[]", "list-@h.org-", "[]", nil},
		{"with space@x", "with space", "x", nil},
		{"j\xf6rg@x", "j\xf6rg", "x", nil},
		{"joe@", "", "", ErrEmptyDomain},
		{"@", "", "", ErrEmptyDomain},
		{"a@b@", "", "", ErrEmptyDomain},
		{"a\nb@x", "", "", ErrControl},
		{"a\rb@x", "", "", ErrControl},
		{"a\x00b@x", "", "", ErrControl},
		{"a@x\n", "", "", ErrControl},
		{strings.Repeat("a", MaxLen-2) + "@x", strings.Repeat("a", MaxLen-2), "x", nil},
		{strings.Repeat("a", MaxLen-1) + "@x", "", "", ErrTooLong},
	} {
		a, err := New(c.in)
		if !errors.Is(err, c.err) {
			t.Errorf("New(%q): error %v, want %v", c.in, err, c.err)
			continue
		}
		if err != nil {
			if a != (Address{}) {
				t.Errorf("New(%q): refused, yet returned %q", c.in, a)
			}
			continue
		}
		if a.String() != c.in || a.Local() != c.local || a.Domain() != c.domain {
			t.Errorf("New(%q): got %q, local %q, domain %q", c.in, a, a.Local(), a.Domain())
		}
		if a.IsNull() != (c.in == "") || a.HasDomain() != strings.Contains(c.in, "@") {
			t.Errorf("New(%q): IsNull %v, HasDomain %v", c.in, a.IsNull(), a.HasDomain())
		}
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{"", ""},
		{"joe@example.org", "joe@example.org"},
		{"joe", "joe"},
		{"jo.e@x", "jo.e@x"},
		{"a!#$%&'*+-/=?^_`{|}~z@x", "a!#$%&'*+-/=?^_`{|}~z@x"},
		{"@x", `""@x`},
		{".joe@x", `".joe"@x`},
		{"joe.@x", `"joe."@x`},
		{"j..e@x", `"j..e"@x`},
		{".", `"."`},
		{"se nder@x y", `"se nder"@x y`},
		{`a"b\c@x`, `"a\"b\\c"@x`},
		{"a\nb@x", "\"a\\\nb\"@x"},
		{"a@b@c", `"a@b"@c`},
		{"j\xc3\xb6@x", "\"j\xc3\xb6\"@x"},
		{"a b", `"a b"`},
		{"#@[]", "#@[]"},
		{"x@weird domain;", "x@weird domain;"},
	} {
		if got := Quote(c[0]); got != c[1] {
			t.Errorf("Quote(%q) = %q, want %q", c[0], got, c[1])
		}
	}
}

func FuzzNew(f *testing.F) {
	for _, s := range []string{"", "joe@x", "joe@", "a\nb@c", "#@[]", `a"\@b@c`, "..@x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := New(s)
		if err != nil {
			return
		}
		if a.String() != s || len(s) > MaxLen || strings.ContainsAny(s, "\r\n\x00") {
			t.Fatalf("New(%q) made %q", s, a)
		}
		if back := unquote(a.Quoted()); back != s {
			t.Fatalf("%q quoted is %q, which reads %q", s, a.Quoted(), back)
		}
	})
}

// unquote reads a quoted form as a peer does: marks removed, backslashes too.
func unquote(q string) string {
	if q == "" || q[0] != '"' {
		return q
	}
	var b strings.Builder
	for i := 1; i < len(q); i++ {
		switch q[i] {
		case '"':
			return b.String() + q[i+1:]
		case '\\':
			i++
		}
		b.WriteByte(q[i])
	}
	return b.String()
}
