package milter

import (
	"postrider/internal/lineartest"
	"postrider/internal/wire/submit"
	"strings"
	"testing"
)

// R43: frames of the largest size, and in endless numbers.
func TestFramesAreLinear(t *testing.T) {
	lineartest.Check(t, submit.MaxFrame, func(text string) {
		// Whether it is valid does not matter here.
		_, _ = ParseSession([]byte(text))
		_, _, _ = ParsePath([]byte(text))
	}, lineartest.Units("\x00", "a\x00", "a", "NOTIFY=NEVER\x00"), lineartest.Around(string(AppendSession(nil, Session{Server: "mx", IP: "::1"})[submit.HeaderSize:])))
	outcome := AppendAnswer(submit.AppendFrame(AppendPath(nil, AddRcpt, "a@b"), Message, []byte("x")), Answer{Kind: Refuse, Code: 451, Enhanced: "4.3.0", Text: "a\nb"})
	lineartest.Check(t, lineartest.Size, func(text string) {
		var changes []Change
		_, _ = ReadOutcome(strings.NewReader(text), &changes, func([]byte) error { return nil })
	}, lineartest.Units("\x00", string(AppendPath(nil, AddRcpt, "a@b")), string(submit.AppendFrame(nil, Message, []byte("x")))), lineartest.Around(string(outcome)))
}
