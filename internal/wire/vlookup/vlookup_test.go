package vlookup

import (
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/accounts"
	"postrider/internal/fdpass"
	"postrider/internal/wire/call"
	"postrider/internal/wire/lookup"
)

func TestAsk(t *testing.T) {
	t.Parallel()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	c := call.NewClient("qmail-vlookup")
	joe := accounts.Recipient{Home: "/home/vpopmail/domains/a.example", Dash: "-", Ext: "joe"}
	if answer, err := Ask(c, joe, time.Minute); !errors.Is(err, call.ErrNoLink) {
		t.Errorf("without a link: %v", answer)
	}
	if err := c.Relink(ours); err != nil {
		t.Fatal(err)
	}
	go call.Serve(theirs, 8, func(q []byte) []byte {
		return Reply(q, func(user accounts.Recipient) lookup.Answer {
			if user != joe {
				return lookup.Answer{Verdict: lookup.Unknown}
			}
			return lookup.Answer{Verdict: lookup.Full, Text: "line\nend"}
		})
	})
	if got, err := Ask(c, joe, time.Minute); got != (lookup.Answer{Verdict: lookup.Full, Text: "line?end"}) || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	jim := accounts.Recipient{Home: "/" + strings.Repeat("h", MaxHome-1), Dash: strings.Repeat("-", MaxDash), Ext: strings.Repeat("x", MaxExt)}
	if got, err := Ask(c, jim, time.Minute); got.Verdict != lookup.Unknown || err != nil {
		t.Errorf("the longest: %v, %v", got, err)
	}
	for name, user := range map[string]accounts.Recipient{
		"relative": {Home: "home"}, "a zero byte": {Home: "/x", Ext: "a\x00b"}, "long": {Home: "/x", Ext: jim.Ext + "x"},
		"a long home": {Home: jim.Home + "h"}, "a long dash": {Home: "/x", Dash: jim.Dash + "-"},
	} {
		if got, err := Ask(c, user, time.Minute); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got, err := lookup.ParseAnswer(Reply([]byte("?"), nil)); got.Verdict != lookup.Unsure || err != nil {
		t.Errorf("no question: %v, %v", got, err)
	}
}

func FuzzQuestion(f *testing.F) {
	f.Add(appendQuestion(nil, accounts.Recipient{Home: "/h", Dash: "-", Ext: "joe"}))
	f.Add([]byte("H"))
	f.Fuzz(func(t *testing.T, b []byte) {
		user, err := parseQuestion(b)
		if err != nil {
			return
		}
		if !isSound(user) || string(appendQuestion(nil, user)) != string(b) {
			t.Errorf("%q became %+v", b, user)
		}
	})
}

// Who answers believes no question.
func TestQuestionsRefused(t *testing.T) {
	t.Parallel()
	good := appendQuestion(nil, accounts.Recipient{Home: "/home", Dash: "-", Ext: "joe"})
	if _, err := parseQuestion(good); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"", "?" + string(good[1:]), string(good[:len(good)-1]), string(good) + "x",
		string(appendQuestion(nil, accounts.Recipient{Home: "home"})), string(appendQuestion(nil, accounts.Recipient{Home: "/h", Dash: "\x00"}))} {
		if user, err := parseQuestion([]byte(q)); err == nil || user != (accounts.Recipient{}) {
			t.Errorf("%q: %+v, %v", q, user, err)
		}
	}
}
