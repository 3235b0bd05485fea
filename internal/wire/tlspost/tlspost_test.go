package tlspost

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/tlsrpt"
	"postrider/internal/wire/call"
	"postrider/internal/wire/codec"
)

const place = "https://web.example/tls?x=y"

// TestPost has reports reach the other side as they are, and its verdict come back.
func TestPost(t *testing.T) {
	t.Parallel()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	c := call.NewClient("qmail-tlspost")
	if err := c.Relink(ours); err != nil {
		t.Fatal(err)
	}
	report := bytes.Repeat([]byte{0, 'x', 255}, MaxReport/3)
	verdicts := make(chan error, 3)
	verdicts <- nil
	verdicts <- errors.New("no \u00fc\n" + strings.Repeat("x", MaxText))
	verdicts <- &Refused{"never"}
	close(verdicts)
	go call.Serve(theirs, 1, func(question []byte) []byte {
		return Reply(question, func(url string, got []byte) error {
			if url != place || !bytes.Equal(got, report) {
				return errors.New("something else")
			}
			return <-verdicts
		})
	})
	var refused *Refused
	if err := Post(c, place, report, time.Minute); err != nil {
		t.Error(err)
	}
	if err := Post(c, place, report, time.Minute); err == nil || errors.As(err, &refused) || err.Error() != ("no ???" + strings.Repeat("x", MaxText))[:MaxText] {
		t.Errorf("for now: %v", err)
	}
	if err := Post(c, place, report, time.Minute); !errors.As(err, &refused) || refused.Text != "never" {
		t.Errorf("for good: %v", err)
	}
	if err := Post(c, place, make([]byte, MaxReport+1), time.Minute); !errors.As(err, &refused) || !strings.HasPrefix(refused.Text, "it has more than ") {
		t.Errorf("a long one: %v", err)
	}
	if err := Post(c, place, make([]byte, MaxReport), time.Minute); err == nil || err.Error() != "something else" {
		t.Errorf("the longest: %v", err)
	}
	if err := Post(c, "https://127.0.0.1/", report, time.Minute); !errors.As(err, &refused) {
		t.Errorf("another place: %v", err)
	}
}

func FuzzQuestion(f *testing.F) {
	f.Add(append(codec.AppendString(nil, place), "report"...))
	f.Add(codec.AppendString(nil, "http://web.example/"))
	f.Fuzz(func(t *testing.T, question []byte) {
		asked := false
		answer := Reply(question, func(url string, report []byte) error {
			asked = true
			if !tlsrpt.IsURL(url) || len(report) == 0 || !bytes.Equal(append(codec.AppendString(nil, url), report...), question) {
				t.Fatalf("%q, %q", url, report)
			}
			return nil
		})
		if asked != (string(answer) == "K") {
			t.Fatalf("%q", answer)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte("K"))
	f.Add([]byte("Zlater"))
	f.Add([]byte("Dnever"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		err := parseAnswer(answer)
		if err == nil && string(answer) != "K" || err != nil && len(err.Error()) > MaxText {
			t.Fatalf("%q: %v", answer, err)
		}
	})
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		answer, says string
		refused      bool
	}{
		{"K", "", false}, {"Kx", errAnswer.Error(), false}, {"", errAnswer.Error(), false}, {"X", errAnswer.Error(), false},
		{"Zlater", "later", false}, {"Dnever", "never", true}, {"Z\n", errAnswer.Error(), false}, {"D\x7f", errAnswer.Error(), false},
		{"Z ~", " ~", false}, {"Z" + strings.Repeat("x", MaxText), strings.Repeat("x", MaxText), false},
		{"Z" + strings.Repeat("x", MaxText+1), errAnswer.Error(), false},
	} {
		err := parseAnswer([]byte(c.answer))
		_, refused := errors.AsType[*Refused](err)
		if (err == nil) != (c.says == "") || err != nil && err.Error() != c.says || refused != c.refused {
			t.Errorf("%.20q: %v, refused %v", c.answer, err, refused)
		}
	}
	if err := Post(call.NewClient("qmail-tlspost"), place, []byte("x"), time.Minute); !errors.Is(err, call.ErrNoLink) {
		t.Errorf("without a link: %v", err)
	}
	for n, good := range map[int]bool{1: true, MaxReport: true, MaxReport + 1: false} {
		if url, report, err := parseQuestion(append(codec.AppendString(nil, place), make([]byte, n)...)); (err == nil) != good || good && (url != place || len(report) != n) {
			t.Errorf("a report of %d bytes: %q, %d, %v", n, url, len(report), err)
		}
	}
	if _, _, err := parseQuestion(codec.AppendString(nil, place)); err == nil {
		t.Error("a question without a report was taken")
	}
}

// A question that ends early is refused, wherever it ends.
func TestShortQuestions(t *testing.T) {
	t.Parallel()
	question := append(codec.AppendString(nil, place), 'x')
	for n := range question {
		answer := Reply(question[:n], func(string, []byte) error { t.Errorf("cut at %d: posted", n); return nil })
		if len(answer) == 0 || answer[0] != kindRefused {
			t.Errorf("cut at %d: %q", n, answer)
		}
	}
}
