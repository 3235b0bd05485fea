package authresults

import (
	"strings"
	"testing"
)

// removed gives a Remover the pieces, as a session does: behind each other in
// one buffer.
func removed(server string, pieces ...string) string {
	r := NewRemover(server)
	text := make([]byte, 0, len(strings.Join(pieces, ""))+2*MaxHeld)
	for _, p := range pieces {
		before := len(text)
		text = r.Rewrite(append(text, p...), before)
	}
	return string(r.AppendEnd(text))
}

const mine = "mx.example.org"

var removals = []struct{ name, in, out string }{
	{"nothing", "", ""},
	{"no header", "\nAuthentication-Results: mx.example.org; x\n", "\nAuthentication-Results: mx.example.org; x\n"},
	{"ours", "A: b\nAuthentication-Results: mx.example.org; spf=pass\nC: d\n\nx\n", "A: b\nC: d\n\nx\n"},
	{"ours, folded", "Authentication-Results: mx.example.org;\n spf=pass\n\tdkim=pass\nC: d\n e\n\nx\n", "C: d\n e\n\nx\n"},
	{"ours, last", "A: b\nAuthentication-Results: mx.example.org;\n spf=pass\n\nx\n", "A: b\n\nx\n"},
	{"ours alone", "Authentication-Results: mx.example.org\n", ""},
	{"ours without an end", "Authentication-Results: mx.example.org", "Authentication-Results: mx.example.org"},
	{"ours twice", "Authentication-Results: mx.example.org; a\nAuthentication-Results: mx.example.org; b\n\n", "\n"},
	{"somebody's", "Authentication-Results: mx.example.net; spf=pass\n x\n\nx\n", "Authentication-Results: mx.example.net; spf=pass\n x\n\nx\n"},
	{"somebody's with a longer name", "Authentication-Results: mx.example.org.example.net; a\n\n", "Authentication-Results: mx.example.org.example.net; a\n\n"},
	{"somebody's with a shorter name", "Authentication-Results: mx.example; mx.example.org\n\n", "Authentication-Results: mx.example; mx.example.org\n\n"},
	{"any case", "AUTHENTICATION-results:MX.Example.ORG;a\n\n", "\n"},
	{"blanks behind the name of the field", "Authentication-Results \t: mx.example.org;a\n\n", "\n"},
	{"the server in the next line", "Authentication-Results:\n \n  mx.example.org; a\n\n", "\n"},
	{"somebody in the next line", "Authentication-Results:\n \n  mx.example.net; a\n\n", "Authentication-Results:\n \n  mx.example.net; a\n\n"},
	{"comments", "Authentication-Results: (a (b\\)) \"c)\n (d) mx.example.org (e); a\n\n", "\n"},
	{"a comment behind it", "Authentication-Results: mx.example.org(e); a\n\n", "\n"},
	{"quoted", "Authentication-Results: \"mx.\\example.org\"; a\n\n", "\n"},
	{"somebody quoted", "Authentication-Results: \"mx.example.org \"; a\n\n", "Authentication-Results: \"mx.example.org \"; a\n\n"},
	{"with a version", "Authentication-Results: mx.example.org 1; a\n\n", "\n"},
	{"with something", "Authentication-Results: mx.example.org/1; a\n\n", "\n"},
	{"no name at all", "Authentication-Results: ; a\n\n", "\n"},
	{"an empty field", "Authentication-Results:\nA: b\n\n", "Authentication-Results:\nA: b\n\n"},
	{"an empty field, last", "Authentication-Results: \n\nx\n", "Authentication-Results: \n\nx\n"},
	{"like it", "Authentication-Result: mx.example.org\nXAuthentication-Results: mx.example.org\nAuthentication-Resultss: mx.example.org\n\n", "Authentication-Result: mx.example.org\nXAuthentication-Results: mx.example.org\nAuthentication-Resultss: mx.example.org\n\n"},
	{"inside another field", "Subject: x\n Authentication-Results: mx.example.org\n\n", "Subject: x\n Authentication-Results: mx.example.org\n\n"},
	{"no field", "Authentication-Results\n: mx.example.org\n\n", "Authentication-Results\n: mx.example.org\n\n"},
	{"a long comment", "Authentication-Results: (" + strings.Repeat("x", 600) + ") mx.example.net\n y\nA: b\n\n", "A: b\n\n"},
	{"many blanks", "Authentication-Results" + strings.Repeat(" ", 600) + ": mx.example.net\n y\nA: b\n\n", "A: b\n\n"},
	{"a long name", "Authentication-Results: " + strings.Repeat("x", 300) + "\n\n", "\n"},
	{"in the body", "A: b\n\nAuthentication-Results: mx.example.org\n", "A: b\n\nAuthentication-Results: mx.example.org\n"},
}

// Wherever the input is split, and octet by octet.
func TestRemover(t *testing.T) {
	t.Parallel()
	for _, c := range removals {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for split := range len(c.in) + 1 {
				if got := removed(mine, c.in[:split], c.in[split:]); got != c.out {
					t.Fatalf("%q split at %d: %q, want %q", c.in, split, got, c.out)
				}
			}
			if got := removed(mine, strings.Split(c.in, "")...); got != c.out {
				t.Errorf("%q octet by octet: %q, want %q", c.in, got, c.out)
			}
		})
	}
}

func TestInternationalizedServer(t *testing.T) {
	t.Parallel()
	for _, server := range []string{"b\u00fccher.example", "xn--bcher-kva.example"} {
		for _, named := range []string{"b\u00fccher.example", "xn--bcher-kva.example", "XN--Bcher-kva.Example"} {
			if got := removed(server, "Authentication-Results: "+named+"; a\n\n"); got != "\n" {
				t.Errorf("%s, %s: %q", server, named, got)
			}
		}
	}
}

// FuzzRemover: how the input is split does not matter, only lines go, and a
// second pass finds nothing.
func FuzzRemover(f *testing.F) {
	for _, c := range removals {
		f.Add(c.in, 3, 30)
	}
	f.Fuzz(func(t *testing.T, in string, first, second int) {
		if first < 0 || second < first || second > len(in) {
			first, second = len(in)/3, len(in)/2
		}
		want := removed(mine, in)
		if got := removed(mine, in[:first], in[first:second], in[second:]); got != want {
			t.Fatalf("%q split at %d, %d: %q, whole %q", in, first, second, got, want)
		}
		left := want
		for line := range strings.Lines(in) {
			left = strings.TrimPrefix(left, line)
		}
		if left != "" {
			t.Fatalf("%q becomes %q, of which %q was no line", in, want, left)
		}
		if again := removed(mine, want); again != want && strings.Contains(want, "\n\n") {
			t.Fatalf("%q becomes %q, which becomes %q", in, want, again)
		}
	})
}
