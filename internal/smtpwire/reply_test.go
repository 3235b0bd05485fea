package smtpwire

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"postrider/internal/lineartest"
)

func TestReplyReader(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 6000)
	for _, c := range []struct {
		name, in string
		code     int
		text     string
		err      error
	}{
		{"one line", "250 ok\r\n", 250, "250 ok\n", nil},
		{"bare LF", "250 ok\n", 250, "250 ok\n", nil},
		{"code alone", "354\r\n", 354, "354\n", nil},
		{"code and blank", "354 \r\n", 354, "354 \n", nil},
		{"no blank behind the code", "250ok\r\n", 250, "250ok\n", nil},
		{"several lines", "250-a\r\n250-b\r\n250 c\r\n", 250, "250-a\n250-b\n250 c\n", nil},
		{"last line is the code alone", "250-a\r\n250\r\n", 250, "250-a\n250\n", nil},
		{"a line without code inside", "220-a\r\nwelcome\r\n220 b\r\n", 220, "220-a\nwelcome\n220 b\n", nil},
		{"an empty line inside", "220-a\r\n\r\n220 b\r\n", 220, "220-a\n\n220 b\n", nil},
		{"CR and NUL in the text", "550 a\rb\x00c\r\n", 550, "550 ab?c\n", nil},
		{"8-bit text", "550 \xff\r\n", 550, "550 \xff\n", nil},
		{"long line is cut", "550 " + long + "\r\n", 550, ("550 " + long)[:MaxReplyText], nil},
		{"other code later", "250-a\r\n550 b\r\n", 0, "250-a\n550 b\n", ErrReplyMalformed},
		{"no code", "hello\r\n", 0, "hello\n", ErrReplyMalformed},
		{"empty line", "\r\n", 0, "\n", ErrReplyMalformed},
		{"two digits", "25 ok\r\n", 0, "25 ok\n", ErrReplyMalformed},
		{"class 1", "150 ok\r\n", 0, "150 ok\n", ErrReplyMalformed},
		{"class 6", "650 ok\r\n", 0, "650 ok\n", ErrReplyMalformed},
		{"class 0", "050 ok\r\n", 0, "050 ok\n", ErrReplyMalformed},
		{"http", "HTTP/1.1 400 Bad Request\r\n", 0, "HTTP/1.1 400 Bad Request\n", ErrReplyMalformed},
		{"nothing", "", 0, "", io.EOF},
		{"ends in a line", "250 o", 0, "250 o", io.ErrUnexpectedEOF},
		{"ends between lines", "250-a\r\n", 250, "250-a\n", io.ErrUnexpectedEOF},
		{"endless line", "250 " + strings.Repeat("x", MaxReply), 0, ("250 " + long)[:MaxReplyText], ErrReplyTooLong},
		{"endless lines", strings.Repeat("250-xx\r\n", MaxReply/8+1), 250, strings.Repeat("250-xx\n", 1000)[:MaxReplyText], ErrReplyTooLong},
	} {
		for kind, r := range map[string]io.Reader{
			"at once":     strings.NewReader(c.in),
			"byte by one": iotest.OneByteReader(strings.NewReader(c.in)),
		} {
			got, err := NewReplyReader(r).Next()
			if !errors.Is(err, c.err) || got.Code != c.code || got.Text != c.text {
				t.Errorf("%s, %s: got %d %.60q (%d bytes), %v; want %d %.60q, %v",
					c.name, kind, got.Code, got.Text, len(got.Text), err, c.code, c.text, c.err)
			}
		}
	}
}

func TestReplyReaderSequence(t *testing.T) {
	t.Parallel()
	r := NewReplyReader(strings.NewReader("220 hi\r\n250-a\r\n250 b\r\n354 go\r\nextra"))
	for _, want := range []int{220, 250, 354} {
		if got, err := r.Next(); err != nil || got.Code != want {
			t.Fatalf("got %v, %v, want %d", got, err, want)
		}
	}
	if r.Buffered() != len("extra") {
		t.Errorf("Buffered() = %d", r.Buffered())
	}
}

func TestReplyReaderError(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	got, err := NewReplyReader(io.MultiReader(strings.NewReader("250-a\r\n25"), iotest.ErrReader(broken))).Next()
	if !errors.Is(err, broken) || got.Text != "250-a\n25" {
		t.Errorf("got %q, %v", got.Text, err)
	}
}

// R43: replies in any number, and without an end.
func TestReplyReaderLinear(t *testing.T) {
	lineartest.Check(t, lineartest.Size, func(text string) {
		r := NewReplyReader(strings.NewReader(text))
		for err := error(nil); err == nil; {
			_, err = r.Next()
		}
	}, lineartest.Units("250-x\r\n250 y\r\n", "250-x\r\n", "250 x\r\n", "a", "250 \x00\n", "250-"), []lineartest.Input{{Head: "250 ", Unit: "a"}})
}

func FuzzReplyReader(f *testing.F) {
	for _, s := range []string{"250 ok\r\n", "250-a\r\n250 b\r\n", "220-a\nx\n220 b\n", "25", "250-a\r\n550 b\r\n", "\x00\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		r := NewReplyReader(strings.NewReader(in))
		for {
			reply, err := r.Next()
			if len(reply.Text) > MaxReplyText || strings.ContainsAny(reply.Text, "\r\x00") {
				t.Fatalf("text %q", reply.Text)
			}
			if err != nil {
				return
			}
			if reply.Code < 200 || reply.Code > 599 || !strings.HasPrefix(reply.Text, string(rune('0'+reply.Code/100))) {
				t.Fatalf("code %d of %q", reply.Code, reply.Text)
			}
		}
	})
}
