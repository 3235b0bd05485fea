package mtasts

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"postrider/internal/mtasts"
)

func TestReply(t *testing.T) {
	t.Parallel()
	policy := mtasts.Policy{Mode: mtasts.Enforce, MX: []string{"mx.example", "*.example.net"}}
	find := func(domain string) (mtasts.Policy, error) {
		switch domain {
		case "none.example":
			return mtasts.Policy{}, nil
		case "mode-none.example":
			return mtasts.Policy{Mode: mtasts.None, MX: policy.MX}, nil
		case "bad.example":
			return mtasts.Policy{}, errors.New("b\xe4d" + strings.Repeat("!", MaxText))
		}
		return policy, nil
	}
	for domain, want := range map[string]string{
		"a.example": "Pemx.example\x00*.example.net\x00", "none.example": "N", "mode-none.example": "N",
		"bad.example": "Tb?d" + strings.Repeat("!", MaxText-3), "": "Tquestion is not of the form that the protocol has",
		"a b": "Tquestion is not of the form that the protocol has",
	} {
		if got := Reply(append([]byte("D"), domain...), find); string(got) != want {
			t.Errorf("%q: got %q", domain, got)
		}
	}
	if got, err := parseAnswer(Reply([]byte("Da.example"), find)); err != nil || !reflect.DeepEqual(got, policy) {
		t.Errorf("got %+v, %v", got, err)
	}
	var unknown *Unknown
	if _, err := parseAnswer(Reply([]byte("Dbad.example"), find)); !errors.As(err, &unknown) {
		t.Errorf("got %v", err)
	}
}

func FuzzAnswer(f *testing.F) {
	for _, answer := range []string{"N", "Pemx.example\x00", "Pt*.example\x00b\x00", "Twhy", "Pnmx\x00", "Pe\x00"} {
		f.Add([]byte(answer))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parseAnswer(b)
		if err != nil {
			if p.Mode == mtasts.Enforce && len(b) > 0 && b[0] != kindPolicy {
				t.Fatal("an error with a policy")
			}
			return
		}
		if got := appendPolicy(nil, p); !bytes.Equal(got, b) {
			t.Fatalf("%q again is %q", b, got)
		}
	})
}

func FuzzQuestion(f *testing.F) {
	f.Add([]byte("Da.example"))
	f.Fuzz(func(t *testing.T, b []byte) {
		domain, err := parseQuestion(b)
		if err == nil && (domain == "" || len(domain) > maxDomain || strings.ContainsAny(domain, "/\x00")) {
			t.Fatalf("domain %q", domain)
		}
	})
}
