package netstring

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

const testLimit = 2000

// readAll opens, reads and closes one netstring.
func readAll(text string) (string, error) {
	s, err := Open(bufio.NewReader(strings.NewReader(text)), testLimit)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(s)
	if err == nil {
		err = s.Close()
	}
	return string(b), err
}

func TestRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text, want string
		err        error
	}{
		{"0:,", "", nil},
		{"12:hello world!,", "hello world!", nil},
		{"3:a,b,", "a,b", nil},
		{"3:,:\x00,rest", ",:\x00", nil},
		{"", "", io.EOF},
		{"1", "", io.ErrUnexpectedEOF},
		{"3:ab", "ab", io.ErrUnexpectedEOF},
		{"3:abc", "abc", io.ErrUnexpectedEOF},
		{"3:abcd", "abc", ErrSyntax},
		{":,", "", ErrSyntax},
		{"00:,", "", ErrSyntax},
		{"03:abc,", "", ErrSyntax},
		{"-1:,", "", ErrSyntax},
		{"+1:a,", "", ErrSyntax},
		{" 1:a,", "", ErrSyntax},
		{"1 :a,", "", ErrSyntax},
		{"0x1:a,", "", ErrSyntax},
		{"a:", "", ErrSyntax},
		{"\x00", "", ErrSyntax},
		{"2001:", "", ErrTooLong},
		{"18446744073709551617:a,", "", ErrTooLong},
		{strings.Repeat("9", 1000) + ":", "", ErrTooLong},
		{"2000:" + strings.Repeat("x", 2000) + ",", strings.Repeat("x", 2000), nil},
	} {
		got, err := readAll(c.text)
		if !errors.Is(err, c.err) || got != c.want {
			t.Errorf("%.40q: got %.40q, %v, want %.40q, %v", c.text, got, err, c.want, c.err)
		}
	}
}

// All limits work to the digit, however small.
func TestLimits(t *testing.T) {
	t.Parallel()
	for limit := range int64(120) {
		for n := range int64(130) {
			s, err := Open(bufio.NewReader(bytes.NewReader(AppendHeader(nil, n))), limit)
			if n <= limit && (err != nil || s.Left() != n) || n > limit && err != ErrTooLong {
				t.Fatalf("%d with limit %d: %v, %v", n, limit, s, err)
			}
		}
	}
}

func TestNested(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want string
		err  error
	}{
		{"12:1:a,3:bcd,,", "a bcd", ErrSyntax}, // the outer one is said to be too long
		{"10:1:a,3:bcd,,", "a bcd", nil},
		{"4:1:a,,", "a", nil},
		{"3:1:a,", "", ErrSyntax}, // no room for the comma inside
		{"4:2:ab,", "", ErrSyntax},
		{"5:2:ab,", "ab", io.ErrUnexpectedEOF},
		{"2:1:", "", ErrSyntax},
		{"1:1", "", ErrSyntax},
		{"1:1,", "", ErrSyntax},
		{"4:999:", "", ErrSyntax},
		{"4:0:,,,", "", ErrSyntax},
		{"0:,", "", nil},
	} {
		got, err := readNested(c.text)
		if !errors.Is(err, c.err) || strings.Join(got, " ") != c.want {
			t.Errorf("%q: got %q, %v, want %q, %v", c.text, got, err, c.want, c.err)
		}
	}
}

func readNested(text string) (all []string, err error) {
	outer, err := Open(bufio.NewReader(iotest.OneByteReader(strings.NewReader(text))), testLimit)
	if err != nil {
		return nil, err
	}
	for outer.Left() > 0 {
		inner, err := Open(outer, testLimit)
		if err != nil {
			return all, err
		}
		b, err := io.ReadAll(inner)
		if err != nil {
			return all, err
		}
		if err := inner.Close(); err != nil {
			return all, err
		}
		all = append(all, string(b))
	}
	return all, outer.Close()
}

func TestSkip(t *testing.T) {
	t.Parallel()
	in := bufio.NewReader(strings.NewReader("5:abcde,1:x,"))
	s, err := Open(in, testLimit)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Skip(); err != nil || s.Close() != nil {
		t.Fatal(err)
	}
	if s, err = Open(in, testLimit); err != nil || s.Left() != 1 {
		t.Errorf("behind it: %v, %v", s, err)
	}
	if s, err = Open(bufio.NewReader(strings.NewReader("5:abc")), testLimit); err != nil || s.Skip() != io.ErrUnexpectedEOF {
		t.Errorf("cut: %v", err)
	}
}

// FuzzNested reads netstrings within one; what was read is written again.
func FuzzNested(f *testing.F) {
	for _, seed := range []string{"10:1:a,3:bcd,,", "0:,", "3:1:a,", "29:13:a@example.com,9:z@foo.org,,", "4:999:", "007:"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, err := readNested(text)
		var inner []byte
		for _, s := range all {
			inner = Append(inner, s)
		}
		if err == nil {
			outer := Append(nil, string(inner))
			if !strings.HasPrefix(text, string(outer)) {
				t.Fatalf("%q read as %q", text, outer)
			}
			if Size(int64(len(inner))) != int64(len(outer)) {
				t.Fatalf("size of %q is %d", outer, Size(int64(len(inner))))
			}
		}
		if len(inner) > len(text) {
			t.Fatalf("%q: more than there is", text)
		}
	})
}

// A netstring ends where it says, and not before.
func TestClose(t *testing.T) {
	t.Parallel()
	s, err := Open(bufio.NewReader(strings.NewReader("2:ab,")), testLimit)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != ErrSyntax || s.Left() != 2 {
		t.Errorf("with 2 octets left: %v, %d left", err, s.Left())
	}
	for _, want := range []byte("ab") {
		if c, err := s.ReadByte(); c != want || err != nil {
			t.Errorf("%q, %v", c, err)
		}
	}
	if _, err := s.ReadByte(); err != io.EOF {
		t.Errorf("behind the last octet: %v", err)
	}
	if n, err := s.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("behind the last octet: %d, %v", n, err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("at the comma: %v", err)
	}
}

// A source that fails is told as it is, and one that ends is cut.
func TestSourceFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("reset")
	for _, c := range []struct {
		name string
		end  io.Reader
		want error
	}{{"ends", strings.NewReader(""), io.ErrUnexpectedEOF}, {"fails", iotest.ErrReader(broken), broken}} {
		open := func(text string) *String {
			s, err := Open(bufio.NewReader(io.MultiReader(strings.NewReader(text), c.end)), testLimit)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		if b, err := open("1:").ReadByte(); b != 0 || err != c.want {
			t.Errorf("%s inside: %q, %v", c.name, b, err)
		}
		s := open("1:")
		if _, err := s.Read(make([]byte, 1)); err != c.want || s.Left() != 1 {
			t.Errorf("%s inside: %v, %d left", c.name, err, s.Left())
		}
		if err := open("0:").Close(); err != c.want {
			t.Errorf("%s before the comma: %v", c.name, err)
		}
	}
}
