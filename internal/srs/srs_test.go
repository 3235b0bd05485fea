package srs

import (
	"errors"
	"strings"
	"testing"
	"time"
)

const secret = "0123456789abcdef"

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func rewriter(t testing.TB, secrets, domain string, now time.Time) *Rewriter {
	t.Helper()
	return New(strings.Fields(secrets), domain, func() time.Time { return now })
}

func TestForwardAndBack(t *testing.T) {
	t.Parallel()
	a, b, c := rewriter(t, secret, "a.example", noon), rewriter(t, secret+"b", "b.example", noon), rewriter(t, secret+"c", "c.example", noon)
	for _, sender := range []string{"joe@x.example", "Joe=b@X.example", "a+b-c@x", "joe user@x", "srs9=x@y"} {
		once := a.Forward(sender)
		if !strings.HasPrefix(once, "SRS0=") || !strings.HasSuffix(once, "@a.example") || !a.IsOurs(once) {
			t.Errorf("%s: %s", sender, once)
		}
		twice := b.Forward(once)
		thrice := c.Forward(twice)
		if !strings.HasPrefix(twice, "SRS1=") || !strings.HasPrefix(thrice, "SRS1=") || len(thrice) > len(twice) {
			t.Errorf("%s: %s, %s", sender, twice, thrice)
		}
		for address, r := range map[string]*Rewriter{twice: b, thrice: c} {
			if got, err := r.Reverse(address); got != once || err != nil {
				t.Errorf("%s: %s, %v, want %s", address, got, err, once)
			}
		}
		if got, err := a.Reverse(once); got != sender || err != nil {
			t.Errorf("%s: %s, %v", once, got, err)
		}
		if got, err := a.Reverse(strings.ToLower(once)); !strings.EqualFold(got, sender) || err != nil {
			t.Errorf("%s in small letters: %s, %v", once, got, err)
		}
	}
	for _, sender := range []string{"", "joe", "joe@A.example", "joe@", "@x", "#@[]", "joe@[192.0.2.1]", strings.Repeat("x", maxAddress) + "@y"} {
		if got := a.Forward(sender); got != sender {
			t.Errorf("%.30s becomes %.30s", sender, got)
		}
	}
}

func TestReverseRefuses(t *testing.T) {
	t.Parallel()
	r := rewriter(t, secret, "a.example", noon)
	good := r.Forward("joe@x.example")
	for _, bad := range []string{
		"joe@a.example", "SRS0=@a.example", "SRS0=AAAAAAAA=AA=x.example=joe@a.example", "SRS1=AAAAAAAA=x==y@a.example",
		strings.Replace(good, "joe", "jim", 1), strings.Replace(good, "@a.", "@b.", 1), strings.Replace(good, "SRS0", "SRS1", 1)[:20] + "@a.example",
	} {
		if got, err := r.Reverse(bad); !errors.Is(err, ErrForged) {
			t.Errorf("%s: %s, %v", bad, got, err)
		}
	}
	for _, domain := range []string{"[]", "[192.0.2.1]"} { // one that a former version made
		if got, err := r.Reverse(r.sign("SRS0=", r.day()+"="+domain+"=#")); !errors.Is(err, ErrForged) {
			t.Errorf("%s: %s, %v", domain, got, err)
		}
	}
	if _, err := rewriter(t, secret+"x", "a.example", noon).Reverse(good); !errors.Is(err, ErrForged) {
		t.Errorf("another secret: %v", err)
	}
	if got, err := rewriter(t, secret+"x\n"+secret+"\n", "a.example", noon).Reverse(good); err != nil {
		t.Errorf("an older secret: %s, %v", got, err)
	}
	for days, want := range map[int]error{0: nil, 21: nil, -1: nil, 22: ErrExpired, -3: ErrExpired, 200: ErrExpired} {
		later := rewriter(t, secret, "a.example", noon.AddDate(0, 0, days))
		if _, err := later.Reverse(good); !errors.Is(err, want) {
			t.Errorf("after %d days: %v", days, err)
		}
	}
}

func FuzzReverse(f *testing.F) {
	f.Add("SRS0=AAAAAAAA=AA=x.example=joe@a.example")
	f.Add("SRS1=AAAAAAAA=x==y@a.example")
	f.Add("joe@x.example")
	f.Fuzz(func(t *testing.T, address string) {
		r := rewriter(t, secret, "a.example", noon)
		if got, err := r.Reverse(address); err == nil {
			t.Errorf("%q is taken as %q", address, got)
		}
		made := r.Forward(address)
		if made == address {
			return
		}
		if got, err := r.Reverse(made); err == nil && got != address && !strings.HasPrefix(strings.ToUpper(address), "SRS") {
			t.Errorf("%q becomes %q becomes %q", address, made, got)
		} else if err != nil {
			t.Errorf("%q: %v", made, err)
		}
	})
}
