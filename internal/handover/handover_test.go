package handover

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

var whole = State{
	Speaks: 1, Lock: 5, Public: 6, Manage: 7, Logger: true, LogRead: 8, LogWrite: 9, Sockets: []int{10, 11},
	Members: []Member{
		{Name: "logger splogger", PID: 99, Channel: -1, Speaks: 1},
		{Name: "qmail-spool", PID: 100, Channel: 12, Speaks: 1},
		{Name: "qmail-smtpd", PID: 101, Channel: 13, Speaks: 2, Until: time.Unix(1795000000, 0)},
		{Name: "qmail-remote 0", PID: 102, Channel: -1, Speaks: 1},
	},
	Areas: []Area{{FD: 14, Layout: "0123abcd", Name: "qmail-start"}, {FD: 15, PID: 102, Layout: "0123abcd", Name: "qmail-remote 0"}},
}

func text(t testing.TB, s State) []byte {
	t.Helper()
	b, err := s.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sealed is a text with the right checksum.
func sealed(lines string) []byte {
	b := []byte(lines)
	return append(b, []byte("crc "+hex(checksum(b))+"\n")...)
}

func hex(v uint32) string {
	const digits = "0123456789abcdef"
	var b [8]byte
	for i := range b {
		b[7-i] = digits[v>>(4*i)&15]
	}
	return string(b[:])
}

func TestStateSurvives(t *testing.T) {
	t.Parallel()
	for _, s := range []State{whole, {Speaks: 1, Lock: 3, Public: 4, Manage: 5}} {
		b := text(t, s)
		got, err := Parse(b)
		if err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("%s: %+v, %v", b, got, err)
		}
		for i := range b { // no byte of it may be another
			damaged := bytes.Clone(b)
			damaged[i] ^= 1
			if _, err := Parse(damaged); err == nil {
				t.Errorf("taken with another byte %d: %s", i, damaged)
			}
			if _, err := Parse(b[:i]); err == nil {
				t.Errorf("%d bytes of it are taken", i)
			}
		}
	}
	if got, want := whole.Files(), []int{5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}; !reflect.DeepEqual(got, want) {
		t.Errorf("files %v, want %v", got, want)
	}
}

func TestBadTexts(t *testing.T) {
	t.Parallel()
	const head = "postrider handover 1\nspeaks 1\nlock 3\npublic 4\nmanage 5\n"
	if _, err := Parse(sealed(head)); err != nil {
		t.Fatal(err)
	}
	for _, lines := range []string{
		"", "postrider handover 1\n", "postrider handover 1\nspeaks 1\nlock 3\npublic 4\n",
		head + "socket\n", head + "socket -1\n", head + "socket 06\n", head + "socket 6 7\n", head + "other 6\n", head + "\n",
		head + "member 1 6 1 0\n", head + "member 1 6 1 0 \n", head + "member 0 6 1 0 x\n", head + "member 1 -2 1 0 x\n",
		head + "member 1 6 0 0 x\n", head + "log 6\n", head + "figures 6 0 x\n", head + "figures 6 -1 x y\n", head + "figures 6 0  y\n", head + "socket 99999999999999999999\n",
		strings.Repeat(head, MaxText/len(head)+1),
	} {
		if _, err := Parse(sealed(lines)); !errors.Is(err, ErrText) {
			t.Errorf("%.100q: %v", lines, err)
		}
	}
	_, err := Parse(sealed("postrider handover 2\nwhatever\n"))
	if err == nil || !strings.Contains(err.Error(), `version "2", and this program knows 1: stop the suite`) {
		t.Errorf("another version: %v", err)
	}
	many := whole
	many.Sockets = make([]int, MaxFiles)
	if _, err := many.Append(nil); err == nil {
		t.Error("too many descriptors are handed over")
	}
	odd := State{Members: []Member{{Name: "a\nb"}}}
	if _, err := odd.Append(nil); err == nil {
		t.Error("a name of two lines is handed over")
	}
	odd = State{Areas: []Area{{Layout: "a b", Name: "c"}}}
	if _, err := odd.Append(nil); err == nil {
		t.Error("a layout of two words is handed over")
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	environ := With([]string{"A=b", variable + "7 8"}, 42, []int{9, 10})
	if got, err := Descriptors(environ, 42); err != nil || !reflect.DeepEqual(got, []int{9, 10}) {
		t.Errorf("handed over: %v, %v", got, err)
	}
	if got, err := Descriptors(environ, 43); err != nil || got != nil {
		t.Errorf("to another process: %v, %v", got, err)
	}
	if got := Strip(environ); !reflect.DeepEqual(got, []string{"A=b"}) {
		t.Errorf("left of the environment: %v", got)
	}
	asked := WithCheck(environ)
	if got, err := Descriptors(asked, 44); err != nil || !reflect.DeepEqual(got, []int{CheckFD}) || !IsCheck(asked) || IsCheck(environ) {
		t.Errorf("asked: %v, %v", got, err)
	}
	for _, value := range []string{"42", "42 ", "42 2", "42 x", "42 -3", "42 9 ", "42 99999999999"} {
		if got, err := Descriptors([]string{variable + value}, 42); err == nil {
			t.Errorf("%q: %v", value, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(text(f, whole))
	f.Add(sealed("postrider handover 1\nspeaks 1\nlock 3\npublic 4\nmanage 5\nmember 1 -1 1 0 x y\n"))
	f.Add([]byte("postrider handover 2\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, b := range [][]byte{b, sealed(string(b))} {
			s, err := Parse(b)
			if err != nil {
				continue
			}
			again, err := s.Append(nil)
			if err != nil {
				continue
			}
			if got, err := Parse(again); err != nil || !reflect.DeepEqual(got, s) {
				t.Fatalf("%q: %+v, then %+v, %v", b, s, got, err)
			}
		}
	})
}
