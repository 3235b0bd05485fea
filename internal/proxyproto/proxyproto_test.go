package proxyproto

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

const v2 = "\r\n\r\n\x00\r\nQUIT\n"

var headers = []struct{ name, header, want string }{
	{"TCP4", "PROXY TCP4 192.0.2.1 198.51.100.2 1025 25\r\n", "192.0.2.1:1025 198.51.100.2:25"},
	{"TCP6", "PROXY TCP6 2001:db8::1 2001:db8::2 1025 25\r\n", "[2001:db8::1]:1025 [2001:db8::2]:25"},
	{"unknown", "PROXY UNKNOWN\r\n", "invalid AddrPort invalid AddrPort"},
	{"unknown with more", "PROXY UNKNOWN x y z\r\n", "invalid AddrPort invalid AddrPort"},
	{"families mixed", "PROXY TCP4 192.0.2.1 2001:db8::2 1 2\r\n", "form"},
	{"another protocol", "PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n", "form"},
	{"a port too large", "PROXY TCP4 192.0.2.1 198.51.100.2 65536 25\r\n", "form"},
	{"two blanks", "PROXY TCP4  192.0.2.1 198.51.100.2 1 25\r\n", "form"},
	{"too much", "PROXY TCP4 192.0.2.1 198.51.100.2 1 25 x\r\n", "form"},
	{"a zone", "PROXY TCP6 fe80::1%eth0 fe80::2 1 25\r\n", "form"},
	{"too long", "PROXY UNKNOWN " + strings.Repeat("x", 100) + "\r\n", "form"},
	{"SMTP", "EHLO client.example\r\n", "form"},
	{"cut", "PROXY TCP4 192.0.2.1", "end"},
	{"nothing", "", "end"},
	{"v2 TCP4", v2 + "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x02\x04\x01\x00\x19", "192.0.2.1:1025 198.51.100.2:25"},
	{"v2 TCP4 with more", v2 + "\x21\x11\x00\x0f\xc0\x00\x02\x01\xc6\x33\x64\x02\x04\x01\x00\x19\x03\x00\x00", "192.0.2.1:1025 198.51.100.2:25"},
	{"v2 TCP6", v2 + "\x21\x21\x00\x24" + strings.Repeat("\x20", 32) + "\x04\x01\x00\x19",
		"[2020:2020:2020:2020:2020:2020:2020:2020]:1025 [2020:2020:2020:2020:2020:2020:2020:2020]:25"},
	{"v2 local", v2 + "\x20\x00\x00\x00", "invalid AddrPort invalid AddrPort"},
	{"v2 unspecified", v2 + "\x21\x00\x00\x00", "invalid AddrPort invalid AddrPort"},
	{"v2 unix", v2 + "\x21\x31\x00\x02xx", "form"},
	{"v2 too short", v2 + "\x21\x11\x00\x04xxxx", "form"},
	{"v2 too large", v2 + "\x21\x11\xff\xff", "form"},
	{"v2 cut", v2 + "\x21\x11\x00\x0cxx", "end"},
	{"v2 another command", v2 + "\x22\x11\x00\x00", "form"},
	{"v3", v2 + "\x31\x11\x00\x00", "form"},
}

func TestRead(t *testing.T) {
	t.Parallel()
	for _, c := range headers {
		const rest = "behind it"
		text := c.header
		if c.want != "end" {
			text += rest
		}
		r := strings.NewReader(text)
		h, err := Read(iotest.OneByteReader(r))
		got := h.Source.String() + " " + h.Destination.String()
		switch {
		case errors.Is(err, ErrForm):
			got = "form"
		case err != nil:
			got = "end"
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if left, _ := io.ReadAll(r); err == nil && string(left) != rest {
			t.Errorf("%s: %q is left", c.name, left)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, c := range headers {
		f.Add([]byte(c.header))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := strings.NewReader(string(b))
		h, err := Read(r)
		if used := len(b) - r.Len(); used > fixed+maxBody {
			t.Fatalf("%d octets used", used)
		}
		if err == nil && h.Source.IsValid() != h.Destination.IsValid() {
			t.Fatalf("%v", h)
		}
	})
}
