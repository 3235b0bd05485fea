package rewriting

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

const secret = "0123456789abcdef"

func TestSettings(t *testing.T) {
	t.Parallel()
	for _, s := range []Settings{
		{Network: []uint32{984, 1<<32 - 1}, Domain: "mx.example", Secrets: []string{secret, secret + " older"}},
		{Domain: "x", Secrets: []string{secret}},
	} {
		b, err := s.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Parse(b); err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("%q: %+v, %v", b, got, err)
		}
	}
	all := Settings{Network: []uint32{1, 2, 3}, Domain: "x", Secrets: slices.Repeat([]string{secret}, maxSecrets)}
	want := "1 2 3\nx\n" + strings.Repeat("\n"+secret, maxSecrets)[1:]
	if b, err := all.Append([]byte("F")); string(b) != "F"+want || err != nil {
		t.Errorf("%q, %v, want %q", b, err, want)
	}
	if got, err := Parse([]byte(want)); err != nil || !reflect.DeepEqual(got, all) {
		t.Errorf("the most secrets: %+v, %v", got, err)
	}
	if _, err := (Settings{Secrets: []string{secret}}).Append(nil); err == nil {
		t.Error("settings without a domain")
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "\n", "1 2\nmx\n", "1\n\n" + secret, "x\nmx\n" + secret, "-1\nmx\n" + secret, "4294967296\nmx\n" + secret,
		"1\nmx\nshort", "1\nmx\n" + secret[1:], "1\nmx\n" + secret + "\nshort", "1\nmx\n" + strings.Repeat(secret+"\n", maxSecrets+1),
	} {
		if s, err := Parse([]byte(text)); err == nil {
			t.Errorf("%q: %+v", text, s)
		}
	}
	if got, err := Secrets("\n  " + secret + " \n\n"); err != nil || !reflect.DeepEqual(got, []string{secret}) {
		t.Errorf("%q, %v", got, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("984 985\nmx.example\n" + secret + "\n" + secret))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Parse(b)
		if err != nil {
			return
		}
		again, err := s.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Parse(again); err != nil || !reflect.DeepEqual(got, s) {
			t.Fatalf("%+v became %+v, %v", s, got, err)
		}
	})
}
