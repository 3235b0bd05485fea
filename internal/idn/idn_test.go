package idn

import (
	"strings"
	"testing"
)

func TestASCII(t *testing.T) {
	t.Parallel()
	for domain, want := range map[string]string{
		"":                            "",
		"Example.COM":                 "example.com",
		"a_b.example":                 "a_b.example",
		"[192.0.2.1]":                 "[192.0.2.1]",
		"müller.example":              "xn--mller-kva.example",
		"müller.Example":              "xn--mller-kva.example",
		"Müller.example":              "xn--mller-kva.example",
		"xn--mller-kva.example":       "xn--mller-kva.example",
		"XN--mller-KVA.example":       "xn--mller-kva.example",
		"bücher.müller.example":       "xn--bcher-kva.xn--mller-kva.example",
		"例え.テスト":                      "xn--r8jz45g.xn--zckzah",
		"straße.example":              "xn--strae-oqa.example",
		"MÜLLER.example":              "!", // no U-label: capitals are not mapped
		"\u212aelvin.example":         "!", // the Kelvin sign is no k
		"\uff45xample.com":            "!", // a wide e is no e
		"exa\u00admple.com":           "!", // a soft hyphen does not vanish
		"example\u3002com":            "!", // an ideographic full stop is no dot
		"mu\u0308ller.example":        "!", // not in normalization form C
		"a\u200db.example":            "!", // a joiner that joins nothing
		"\xff.example":                "!",
		"\u0301a.example":             "!", // begins with a combining mark
		"ü" + strings.Repeat("a", 80): "xn--" + strings.Repeat("a", 80) + "-8oc",
	} {
		got, err := ASCII(domain)
		if err != nil {
			got = "!"
		}
		if len(domain) > 80 {
			continue // only that it ends
		}
		if got != want {
			t.Errorf("%q: %q, want %q", domain, got, want)
		}
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"JOE@Example.com": "joe@example.com", "jo@e@Müller.example": "jo@e@xn--mller-kva.example", "Jörg@b": "jörg@b",
		".Müller.example": ".xn--mller-kva.example", "": "", "a@": "a@", "@B.c": "@b.c", "x@\u212a": "x@\u212a", ".": ".",
	} {
		if got := AddressKey(address); got != want {
			t.Errorf("%q: %q, want %q", address, got, want)
		}
	}
}

// Two spellings have one key, and keys are their own.
func FuzzKey(f *testing.F) {
	for _, s := range []string{"müller.example", "A.b", "\u212a.x", "xn--a", "\xff", "例え.テスト"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, domain string) {
		key := Key(domain)
		if again := Key(key); again != key {
			t.Errorf("%q has key %q, and that %q", domain, key, again)
		}
		for i := range len(key) {
			if 'A' <= key[i] && key[i] <= 'Z' {
				t.Errorf("%q has key %q", domain, key)
			}
		}
	})
}
