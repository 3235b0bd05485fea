package milter

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"postrider/internal/wire/submit"
)

func payload(t testing.TB, frame []byte) []byte {
	t.Helper()
	_, n, err := submit.ReadHeader(bytes.NewReader(frame))
	if err != nil || n != len(frame)-submit.HeaderSize {
		t.Fatalf("frame %q: %v", frame, err)
	}
	return frame[submit.HeaderSize:]
}

func TestSession(t *testing.T) {
	t.Parallel()
	want := Session{Server: "mx", IP: "192.0.2.1", Port: "99", Helo: "a\tb c", User: "joe", ID: "7-1"}
	got, err := ParseSession(payload(t, AppendSession(nil, want)))
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", "a\x00", "a\nb" + strings.Repeat("\x00", 11), strings.Repeat("\x00", 12), strings.Repeat("\x00", 10) + "a", strings.Repeat("a", MaxStrings) + "\x00"} {
		if s, err := ParseSession([]byte(bad)); !errors.Is(err, ErrProtocol) {
			t.Errorf("%q: %+v, %v", bad, s, err)
		}
	}
}

func TestPath(t *testing.T) {
	t.Parallel()
	path, parameters, err := ParsePath(payload(t, AppendPath(nil, Rcpt, "a@b", "NOTIFY=NEVER", "")))
	if err != nil || path != "a@b" || !slices.Equal(parameters, []string{"NOTIFY=NEVER", ""}) {
		t.Errorf("%q, %q, %v", path, parameters, err)
	}
	for _, bad := range []string{"", "a", "a\r\x00", "a\x7f\x00", strings.Repeat("\x00", maxParameters+2), strings.Repeat("a", MaxStrings) + "\x00"} {
		if path, _, err := ParsePath([]byte(bad)); !errors.Is(err, ErrProtocol) {
			t.Errorf("%.20q: %q, %v", bad, path, err)
		}
	}
	if _, parameters, err := ParsePath([]byte(strings.Repeat("\x00", 1+maxParameters))); len(parameters) != maxParameters || err != nil {
		t.Errorf("the most parameters: %d, %v", len(parameters), err)
	}
	if path, _, err := ParsePath([]byte(strings.Repeat("a", MaxStrings-1) + "\x00")); len(path) != MaxStrings-1 || err != nil {
		t.Errorf("the longest path: %d bytes, %v", len(path), err)
	}
	// No string becomes two.
	path, parameters, err = ParsePath(payload(t, AppendPath(nil, Rcpt, "a@b\x00SIZE=1", "NOTIFY=NEVER")))
	if err != nil || path != "a@b" || !slices.Equal(parameters, []string{"NOTIFY=NEVER"}) {
		t.Errorf("a path with a zero byte: %q, %q, %v", path, parameters, err)
	}
}

func TestOutcome(t *testing.T) {
	t.Parallel()
	refusal := Answer{Kind: Refuse, Code: 550, Enhanced: "5.7.1", Text: "no\nnever"}
	frames := AppendPath(nil, NewSender, "")
	frames = submit.AppendFrame(AppendPath(frames, DeleteRcpt, "a@b"), Message, []byte("one"))
	frames = AppendAnswer(submit.AppendFrame(frames, Message, []byte("two")), refusal)
	var changes []Change
	text := ""
	got, err := ReadOutcome(bytes.NewReader(frames), &changes, func(p []byte) error { text += string(p); return nil })
	if err != nil || got != refusal || text != "onetwo" || !slices.Equal(changes, []Change{{NewSender, ""}, {DeleteRcpt, "a@b"}}) {
		t.Errorf("%+v, %v, %q, %+v", got, err, text, changes)
	}
}

func TestAnswersRefused(t *testing.T) {
	t.Parallel()
	reply := func(s string) []byte { return submit.AppendFrame(nil, Refuse, []byte(s)) }
	for name, frames := range map[string][]byte{
		"unknown": submit.AppendFrame(nil, 'X', nil), "message": submit.AppendFrame(nil, Message, nil), "change": AppendPath(nil, AddRcpt, "a@b"),
		"text behind c": submit.AppendFrame(nil, Continue, []byte("x")), "too long": submit.AppendHeader(nil, Refuse, MaxStrings+1),
		"no code": reply(""), "positive": reply("2502.0.0\x00ok"), "no NUL": reply("5505.7.1"), "no enhanced code": reply("550\x00no"),
		"another class": reply("5504.7.1\x00no"), "line end": reply("5505.7.1\x00no\r\n250 ok"), "8 bits": reply("5505.7.1\x00\xff"),
		"code of 4 digits": reply("55505.7.1\x00no"), "many lines": reply("5505.7.1\x00" + strings.Repeat("\n", maxLines)),
		"long number": reply("5505.1000.1\x00"), "sign": reply("5505.+7.1\x00"),
		"nothing before NUL": reply("\x00no"), "two digits": reply("55\x00no"), "no number": reply("5x05.7.1\x00no"), "two numbers": reply("5505.7\x00no"), "four numbers": reply("5505.7.1.1\x00no"),
	} {
		if a, err := ReadAnswer(bytes.NewReader(frames)); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
	many := bytes.Repeat(AppendPath(nil, AddRcpt, "a@b"), MaxChanges+1)
	var changes []Change
	if _, err := ReadOutcome(bytes.NewReader(many), &changes, nil); !errors.Is(err, ErrProtocol) || len(changes) != MaxChanges {
		t.Errorf("many changes: %d, %v", len(changes), err)
	}
	control := AppendAnswer(AppendPath(nil, NewSender, "a\r\nb"), Answer{Kind: Continue})
	changes = nil
	if _, err := ReadOutcome(bytes.NewReader(control), &changes, nil); !errors.Is(err, ErrProtocol) {
		t.Errorf("a change with a line end: %v", err)
	}
	for _, cut := range [][]byte{AppendAnswer(nil, Answer{Kind: Refuse, Code: 550, Enhanced: "5.7.1"}), AppendPath(nil, OnlyRcpt, "a@b"), submit.AppendFrame(nil, Message, []byte("xy"))} {
		piece := func(p []byte) error { return fmt.Errorf("a piece: %q", p) }
		if _, err := ReadOutcome(bytes.NewReader(cut[:len(cut)-1]), &changes, piece); err != io.ErrUnexpectedEOF {
			t.Errorf("%q cut: %v", cut, err)
		}
	}
	if _, err := ReadAnswer(bytes.NewReader(nil)); err != io.EOF {
		t.Errorf("no answer: %v", err)
	}
}

// Every kind of change is one, and what has the most bytes is taken.
func TestOutcomeAtItsLimits(t *testing.T) {
	t.Parallel()
	var frames []byte
	want := []Change{{NewSender, "a"}, {AddRcpt, "b"}, {DeleteRcpt, "c"}, {OnlyRcpt, strings.Repeat("d", MaxStrings-1)}}
	for _, c := range want {
		frames = AppendPath(frames, c.Kind, c.Path)
	}
	frames = submit.AppendFrame(frames, Message, make([]byte, MaxStrings+1))
	refusal := Answer{Kind: Refuse, Code: 451, Enhanced: "4.999.999", Text: " ~" + strings.Repeat("\n", maxLines-1)}
	var changes []Change
	size := 0
	got, err := ReadOutcome(bytes.NewReader(AppendAnswer(frames, refusal)), &changes, func(p []byte) error { size += len(p); return nil })
	if err != nil || got != refusal || !slices.Equal(changes, want) || size != MaxStrings+1 {
		t.Errorf("%+v, %v, %d changes, %d bytes", got, err, len(changes), size)
	}
	for _, want := range []Answer{{Kind: Continue}, {Kind: Discard}} {
		if a, err := ReadAnswer(bytes.NewReader(AppendAnswer(nil, want))); a != want || err != nil {
			t.Errorf("%+v, %v, want %+v", a, err, want)
		}
	}
	full := errors.New("no room for a piece")
	if _, err := ReadOutcome(bytes.NewReader(frames), &changes, func([]byte) error { return full }); err != full {
		t.Errorf("who takes the pieces fails: %v", err)
	}
}

func FuzzOutcome(f *testing.F) {
	f.Add(AppendAnswer(submit.AppendFrame(AppendPath(nil, AddRcpt, "a@b"), Message, []byte("x")), Answer{Kind: Refuse, Code: 451, Enhanced: "4.3.0", Text: "a\nb"}))
	f.Add(AppendAnswer(AppendPath(nil, NewSender, ""), Answer{Kind: Continue}))
	f.Fuzz(func(t *testing.T, said []byte) {
		var changes []Change
		size := 0
		a, err := ReadOutcome(bytes.NewReader(said), &changes, func(p []byte) error { size += len(p); return nil })
		if err != nil {
			return
		}
		if again, err := ReadAnswer(bytes.NewReader(AppendAnswer(nil, a))); err != nil || again != a {
			t.Errorf("%+v became %+v, %v", a, again, err)
		}
		for _, c := range changes {
			if strings.ContainsAny(c.Path, "\r\n\x00") {
				t.Errorf("change %+v", c)
			}
		}
		if size > len(said) || strings.ContainsAny(a.Text, "\r\x00") {
			t.Errorf("%d bytes, %+v", size, a)
		}
	})
}

func FuzzSession(f *testing.F) {
	f.Add(AppendSession(nil, Session{Server: "mx", IP: "::1"})[submit.HeaderSize:])
	f.Add([]byte("a\x00NOTIFY=NEVER\x00"))
	f.Fuzz(func(t *testing.T, block []byte) {
		if s, err := ParseSession(block); err == nil && !bytes.Equal(AppendSession(nil, s)[submit.HeaderSize:], block) {
			t.Errorf("%q became %+v", block, s)
		}
		if path, parameters, err := ParsePath(block); err == nil && !bytes.Equal(AppendPath(nil, Rcpt, path, parameters...)[submit.HeaderSize:], block) {
			t.Errorf("%q became %q, %q", block, path, parameters)
		}
	})
}
