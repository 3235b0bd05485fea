package account

import (
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/accounts"
	"postrider/internal/fdpass"
	"postrider/internal/wire/call"
)

var joe = accounts.Account{Name: "joe", UID: 1001, GID: 1002, Home: "/home/joe"}

func find(name string) (accounts.Account, error) {
	switch name {
	case "joe":
		return joe, nil
	case "other":
		return joe, nil // an account of another name
	case "away":
		return accounts.Account{}, errors.New("line\nend " + strings.Repeat("x", MaxText))
	}
	if name == longest.Name {
		return longest, nil
	}
	return accounts.Account{}, accounts.ErrUnknown
}

var longest = accounts.Account{Name: strings.Repeat("l", MaxName), UID: 1, GID: 2, Home: "/"}

func TestAsk(t *testing.T) {
	t.Parallel()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	c := call.NewClient("qmail-nss")
	if _, err := Ask(c, "joe", time.Minute); !errors.Is(err, call.ErrNoLink) {
		t.Errorf("without a link: %v", err)
	}
	if err := c.Relink(ours); err != nil {
		t.Fatal(err)
	}
	go call.Serve(theirs, 8, func(q []byte) []byte { return Reply(q, find) })
	if got, err := Ask(c, "joe", time.Minute); got != joe || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := Ask(c, longest.Name, time.Minute); got != longest || err != nil {
		t.Errorf("the longest name: %v, %v", got, err)
	}
	for _, name := range []string{"jim", strings.Repeat("x", MaxName), strings.Repeat("x", MaxName+1)} {
		if got, err := Ask(c, name, time.Minute); !errors.Is(err, accounts.ErrUnknown) {
			t.Errorf("%.10s: %v, %v", name, got, err)
		}
	}
	for _, name := range []string{"away", "other", ""} {
		if got, err := Ask(c, name, time.Minute); err == nil || errors.Is(err, accounts.ErrUnknown) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add("joe", "Yjoe::1:2::/home/joe:")
	f.Add("joe", "N")
	f.Add("joe", "Twhy")
	f.Fuzz(func(t *testing.T, name, answer string) {
		a, err := parseAnswer(name, []byte(answer))
		if err == nil && (a.Name != name || strings.ContainsAny(a.Home, ":\n\x00")) {
			t.Errorf("%+v for %q", a, name)
		}
	})
}

func TestParseAnswer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		answer string
		want   error // nil: another one
	}{
		{"", errAnswer}, {"Yjim::1:2::/home:", errAnswer}, {"Yjoe::1:2::/home\n:", errAnswer}, {"Y", errAnswer},
		{"N", accounts.ErrUnknown}, {"Nx", errAnswer}, {"X", errAnswer},
		{"T" + strings.Repeat("x", MaxText), nil}, {"T" + strings.Repeat("x", MaxText+1), errAnswer},
		{"Yjoe::1:2::/" + strings.Repeat("x", MaxLine), errAnswer},
	} {
		a, err := parseAnswer("joe", []byte(c.answer))
		if err == nil || a != (accounts.Account{}) || c.want != nil && err != c.want || c.want == nil && (err == errAnswer || errors.Is(err, accounts.ErrUnknown)) {
			t.Errorf("%.20q: %+v, %v", c.answer, a, err)
		}
	}
	home := "/" + strings.Repeat("x", MaxLine-len("joe::1:2::/:"))
	if a, err := parseAnswer("joe", []byte("Yjoe::1:2::"+home+":")); a.Home != home || err != nil {
		t.Errorf("the longest line: %d bytes of home, %v", len(a.Home), err)
	}
	if a, err := parseAnswer("joe", []byte("Yjoe::1:2::"+home+"x:")); err != errAnswer {
		t.Errorf("a longer line: %d bytes of home, %v", len(a.Home), err)
	}
	for _, question := range []string{"", "?", "?joe", "X", "N", "N" + strings.Repeat("x", MaxName+1)} {
		if got := Reply([]byte(question), find); string(got[:1]) != "T" {
			t.Errorf("question %q: %q", question, got)
		}
	}
}

// What is told of trouble is printable, whatever the trouble was.
func TestTroubleIsPrintable(t *testing.T) {
	t.Parallel()
	got := Reply([]byte("?"), find)
	if string(got) != "T"+errQuestion.Error() {
		t.Errorf("%q", got)
	}
	question := append([]byte{kindName}, "away"...)
	odd := func(string) (accounts.Account, error) { return accounts.Account{}, errors.New("\x1f ~\x7f\n\xff") }
	if got := Reply(question, odd); string(got) != "T? ~???" {
		t.Errorf("%q", got)
	}
	other := func(string) (accounts.Account, error) { return accounts.Account{Name: "other"}, nil }
	if got := Reply(question, other); string(got) != "T"+errAnswer.Error() {
		t.Errorf("an account of another name: %q", got)
	}
	short := func(name string) (accounts.Account, error) { return accounts.Account{Name: name, Home: "/"}, nil }
	if got := Reply(append([]byte{kindName}, 'j'), short); string(got) != "Yj::0:0::/:" {
		t.Errorf("a short name: %q", got)
	}
}
