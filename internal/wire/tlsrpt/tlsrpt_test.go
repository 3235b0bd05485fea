package tlsrpt

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/tlsrpt"
	"postrider/internal/wire/call"
)

var findings = []tlsrpt.Finding{
	{Policy: tlsrpt.Policy{Type: tlsrpt.NoPolicy, Domain: "d.example"}},
	{
		Policy: tlsrpt.Policy{Type: tlsrpt.STS, Domain: "d.example", Strings: []string{"version: STSv1", "mode: testing"}, MXHosts: []string{"*.d.example"}},
		Failed: true,
		Failure: tlsrpt.Failure{Result: tlsrpt.Expired, SendingIP: "192.0.2.1", MXHost: "mx.d.example", ReceivingIP: "2001:db8::1", Reason: "too old",
			Sessions: 1},
	},
}

func TestReply(t *testing.T) {
	t.Parallel()
	for _, f := range findings {
		question := appendFinding(nil, f)
		var got []tlsrpt.Finding
		if answer := Reply(question, func(f tlsrpt.Finding) { got = append(got, f) }); string(answer) != "K" || len(got) != 1 || !reflect.DeepEqual(got[0], f) {
			t.Errorf("%q: %q, %+v", question, answer, got)
		}
		for n := range question {
			if _, err := decodeFinding(question[:n]); err == nil {
				t.Errorf("cut at %d was taken", n)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*tlsrpt.Finding){
		"type":         func(f *tlsrpt.Finding) { f.Policy.Type = "x" },
		"domain":       func(f *tlsrpt.Finding) { f.Policy.Domain = "a\nb" },
		"long domain":  func(f *tlsrpt.Finding) { f.Policy.Domain = strings.Repeat("a.", 127) + "a" },
		"string":       func(f *tlsrpt.Finding) { f.Policy.Strings = []string{"\x00"} },
		"long string":  func(f *tlsrpt.Finding) { f.Policy.Strings = []string{strings.Repeat("x", tlsrpt.MaxString+1)} },
		"many strings": func(f *tlsrpt.Finding) { f.Policy.MXHosts = slices.Repeat([]string{"a"}, tlsrpt.MaxStrings+1) },
		"result":       func(f *tlsrpt.Finding) { f.Failure.Result = "" },
		"address":      func(f *tlsrpt.Finding) { f.Failure.SendingIP = "x" },
		"zone":         func(f *tlsrpt.Finding) { f.Failure.ReceivingIP = "fe80::1%eth0" },
		"host":         func(f *tlsrpt.Finding) { f.Failure.MXHost = "a b" },
		"reason":       func(f *tlsrpt.Finding) { f.Failure.Reason = "\xff" },
	} {
		f := findings[1]
		change(&f)
		if answer := Reply(appendFinding(nil, f), func(f tlsrpt.Finding) { t.Errorf("%s: %+v is counted", name, f) }); string(answer) != "R" {
			t.Errorf("%s: %q", name, answer)
		}
	}
}

func FuzzFinding(f *testing.F) {
	for _, finding := range findings {
		f.Add(appendFinding(nil, finding))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		finding, err := decodeFinding(b)
		if err != nil {
			return
		}
		if !finding.Valid() || string(appendFinding(nil, finding)) != string(b) {
			t.Fatalf("%q is %+v", b, finding)
		}
	})
}

func TestTell(t *testing.T) {
	t.Parallel()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	c := call.NewClient("qmail-tlsrpt")
	if err := Tell(c, findings[0], time.Minute); !errors.Is(err, call.ErrNoLink) {
		t.Errorf("without a link: %v", err)
	}
	if err := c.Relink(ours); err != nil {
		t.Fatal(err)
	}
	told := make(chan tlsrpt.Finding, 1)
	go call.Serve(theirs, 1, func(q []byte) []byte { return Reply(q, func(f tlsrpt.Finding) { told <- f }) })
	if err := Tell(c, findings[1], time.Minute); err != nil {
		t.Error(err)
	} else if got := <-told; !reflect.DeepEqual(got, findings[1]) {
		t.Errorf("%+v", got)
	}
	if err := Tell(c, tlsrpt.Finding{}, time.Minute); err != errAnswer {
		t.Errorf("a finding that is refused: %v", err)
	}
	ours, theirs, err = fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Relink(ours); err != nil {
		t.Fatal(err)
	}
	go call.Serve(theirs, 1, func([]byte) []byte { return []byte("KK") })
	if err := Tell(c, findings[0], time.Minute); err != errAnswer {
		t.Errorf("an answer that is longer: %v", err)
	}
	most := findings[1]
	most.Policy.Strings = slices.Repeat([]string{strings.Repeat("a", tlsrpt.MaxString)}, tlsrpt.MaxStrings)
	if f, err := decodeFinding(appendFinding(nil, most)); err != nil || !reflect.DeepEqual(f, most) {
		t.Errorf("the most strings: %v", err)
	}
	question := appendFinding(nil, findings[0])
	question[len(question)-1] = 2 // whether it failed
	if _, err := decodeFinding(question); err == nil {
		t.Error("a 2 where 0 or 1 belongs was taken")
	}
}
