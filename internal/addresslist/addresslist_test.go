package addresslist

import (
	"strconv"
	"strings"
	"testing"

	"postrider/internal/address"
)

func TestHas(t *testing.T) {
	t.Parallel()
	list := New([]string{"Joe@Example.com", "@spam.example", "nodomain"})
	for text, want := range map[string]bool{
		"joe@example.com": true, "JOE@EXAMPLE.COM": true, "jim@example.com": false, "any@SPAM.example": true,
		"x@sub.spam.example": false, "spam.example": false, "nodomain": true, "": false, "a@b@spam.example": true,
	} {
		a, err := address.New(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := list.Has(a); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
		if (List)(nil).Has(a) {
			t.Errorf("%q is in an empty list", text)
		}
	}
}

func TestExpressionHint(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		"joe@example.com": false, "@example.com": false, "a+b@example.com": false, "!joe@x": true, "^joe": true, `joe\.x`: true, "joe@x$": true,
		"joe.*@x": true, "joe.+@x": true, "a!b$c@x": false, "": false,
	} {
		got := ExpressionHint("badmailfrom", []string{"plain@example.com", line})
		if (got != "") != want || want && (!strings.HasPrefix(got, "control/badmailfrom: ") || !strings.Contains(got, strconv.Quote(line))) {
			t.Errorf("%q: %q", line, got)
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	list := New([]string{"joe@example.com", "@example.net", "nodomain"})
	for text, want := range map[string]string{"JOE@example.com": "joe@example.com", "x@Example.net": "@example.net", "nodomain": "nodomain"} {
		a, err := address.New(text)
		if err != nil {
			t.Fatal(err)
		}
		if key, listed := list.Find(a); key != want || !listed {
			t.Errorf("%q: %q, %v", text, key, listed)
		}
	}
}
