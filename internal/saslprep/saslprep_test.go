package saslprep

import (
	"strings"
	"testing"
)

func TestPrepare(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		// The examples of RFC 4013 section 3.
		"I\u00adX":     "IX",
		"user":         "user",
		"USER":         "USER",
		"\u00aa":       "a",
		"\u2168":       "IX",
		"\x07":         "\x07",
		"\u0627\u0031": "\u0627\u0031",

		"":                         "",
		"\x00\x7f\r\n":             "\x00\x7f\r\n", // ASCII does not change
		"jo\u0308rg":               "j\u00f6rg",
		"j\u00f6rg":                "j\u00f6rg",
		"a\u00a0b":                 "a b",
		"\uff50\uff41\uff53\uff53": "pass",
		"\u00ad":                   "\u00ad", // nothing would be left
		"\u00adx\u0007":            "\u00adx\u0007",
		"\u0627x":                  "\u0627x",
		"\u0627\u0628":             "\u0627\u0628",
		"\xf6":                     "\xf6",
		"a\xff\u0308":              "a\xff\u0308",
		"\U0001f600":               "\U0001f600", // not in Unicode 3.2
	} {
		if got := Prepare(in); got != want {
			t.Errorf("%+q: %+q, want %+q", in, got, want)
		}
	}
}

// FuzzPrepare: the form that counts has one spelling, ASCII stays, and what
// comes out is bounded by what came in.
func FuzzPrepare(f *testing.F) {
	for _, s := range []string{"I\u00adX", "jo\u0308rg", "\u0627\u0031", "\ufdfa", "\xf6", "\u2126\u0301"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Prepare(s)
		if again := Prepare(got); again != got {
			t.Fatalf("%+q becomes %+q, which becomes %+q", s, got, again)
		}
		if isASCII(s) && got != s || len(got) > 18*len(s) || strings.Contains(got, "\x00") && !strings.Contains(s, "\x00") {
			t.Fatalf("%+q becomes %+q", s, got)
		}
	})
}
