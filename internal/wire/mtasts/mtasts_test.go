package mtasts

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/mtasts"
	"postrider/internal/wire/call"
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

func TestParseAnswer(t *testing.T) {
	t.Parallel()
	many := strings.Repeat("a.example\x00", mtasts.MaxMX)
	for _, c := range []struct {
		answer string
		mode   mtasts.Mode // 0: an error
		says   string
	}{
		{"N", mtasts.None, ""}, {"Pemx.example\x00", mtasts.Enforce, ""}, {"Ptmx.example\x00", mtasts.Testing, ""}, {"Pe" + many, mtasts.Enforce, ""},
		{"", 0, ""}, {"NN", 0, ""}, {"X", 0, ""}, {"P", 0, ""}, {"P\x00", 0, ""}, {"Pe", 0, ""}, {"Pemx.example", 0, ""}, {"Pnmx.example\x00", 0, ""},
		{"PeMX.example\x00", 0, ""}, {"Pe\x00", 0, ""}, {"Pe" + many + "a.example\x00", 0, ""},
		{"Twhy", 0, "why"}, {"T", 0, ""}, {"Twhy\n", 0, errAnswer.Error()}, {"T\x7f", 0, errAnswer.Error()}, {"T ~", 0, " ~"},
		{"T" + strings.Repeat("x", MaxText), 0, strings.Repeat("x", MaxText)}, {"T" + strings.Repeat("x", MaxText+1), 0, errAnswer.Error()},
	} {
		p, err := parseAnswer([]byte(c.answer))
		if c.mode != 0 && (err != nil || p.Mode != c.mode) || c.mode == 0 && (err == nil || c.says != "" && err.Error() != c.says) {
			t.Errorf("%.20q: %+v, %v", c.answer, p, err)
		}
	}
	longest := strings.Repeat(strings.Repeat("a", 63)+".", 3) + strings.Repeat("a", 61)
	for _, want := range []string{longest, "a"} {
		if domain, err := parseQuestion([]byte("D" + want)); domain != want || err != nil {
			t.Errorf("a domain of %d bytes: %q, %v", len(want), domain, err)
		}
	}
	// The last one has 50 letters, which take three bytes each, in each label.
	for _, question := range []string{"", "D", "Xa.example", "D" + longest + "a", "D" + longest + ".", "D" + strings.Repeat("\uff41", 50) + "." + strings.Repeat("\uff41", 50)} {
		if domain, err := parseQuestion([]byte(question)); err == nil {
			t.Errorf("%.20q of %d bytes is about %q", question, len(question), domain)
		}
	}
}

func TestAsk(t *testing.T) {
	t.Parallel()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	c := call.NewClient("qmail-mtasts")
	if _, err := Ask(c, "a.example", time.Minute); !errors.Is(err, call.ErrNoLink) {
		t.Errorf("without a link: %v", err)
	}
	if err := c.Relink(ours); err != nil {
		t.Fatal(err)
	}
	policy := mtasts.Policy{Mode: mtasts.Enforce, MX: []string{"mx.example"}}
	go call.Serve(theirs, 8, func(q []byte) []byte {
		return Reply(q, func(string) (mtasts.Policy, error) { return policy, nil })
	})
	if got, err := Ask(c, "a.example", time.Minute); !reflect.DeepEqual(got, policy) || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
}
