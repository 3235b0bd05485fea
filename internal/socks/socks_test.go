package socks

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
)

// proxy says something, whatever it is told.
type proxy struct {
	io.Reader
	told bytes.Buffer
}

func (p *proxy) Write(b []byte) (int, error) { return p.told.Write(b) }

var joe = Login{"joe", "secret"}

func TestConnect(t *testing.T) {
	t.Parallel()
	const four, rest = "\x05\x00\x00\x01\x7f\x00\x00\x01\x12\x34", "220 mx"
	for _, c := range []struct {
		name  string
		to    string
		login Login
		says  string
		told  string
		err   error
	}{
		{"IPv4", "192.0.2.1:25", Login{}, "\x05\x00" + four, "\x05\x01\x00\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x19", nil},
		{"IPv6", "[2001:db8::1]:465", Login{}, "\x05\x00\x05\x00\x00\x04" + strings.Repeat("\x00", 18),
			"\x05\x01\x00\x05\x01\x00\x04\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01\x01\xd1", nil},
		{"a name in its answer", "192.0.2.1:25", Login{}, "\x05\x00\x05\x00\x00\x03\x02ab\x00\x19", "\x05\x01\x00\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x19", nil},
		{"with a login", "192.0.2.1:25", joe, "\x05\x02\x01\x00" + four, "\x05\x02\x00\x02\x01\x03joe\x06secret\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x19", nil},
		{"with a login that is not wanted", "192.0.2.1:25", joe, "\x05\x00" + four, "\x05\x02\x00\x02\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x19", nil},
		{"a wrong login", "192.0.2.1:25", joe, "\x05\x02\x01\x01", "\x05\x02\x00\x02\x01\x03joe\x06secret", ErrLogin},
		{"a login is wanted", "192.0.2.1:25", Login{}, "\x05\xff", "\x05\x01\x00", ErrMethod},
		{"a login that was not offered", "192.0.2.1:25", Login{}, "\x05\x02", "\x05\x01\x00", ErrMethod},
		{"GSSAPI", "192.0.2.1:25", joe, "\x05\x01", "\x05\x02\x00\x02", ErrMethod},
		{"refused", "192.0.2.1:25", Login{}, "\x05\x00\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00", "\x05\x01\x00\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x19", Refusal(5)},
		{"no proxy", "192.0.2.1:25", Login{}, "220 mx.example ESMTP\r\n", "\x05\x01\x00", ErrNotSOCKS},
		{"no proxy behind the choice", "192.0.2.1:25", Login{}, "\x05\x00HTTP", "\x05\x01\x00\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x19", ErrNotSOCKS},
		{"an address of no kind", "192.0.2.1:25", Login{}, "\x05\x00\x05\x00\x00\x09", "\x05\x01\x00\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x19", ErrNotSOCKS},
		{"it ends", "192.0.2.1:25", Login{}, "\x05\x00\x05\x00\x00\x01\x7f", "\x05\x01\x00\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x19", io.ErrUnexpectedEOF},
		{"it ends at once", "192.0.2.1:25", Login{}, "", "\x05\x01\x00", io.EOF},
	} {
		in := strings.NewReader(c.says)
		if c.err == nil {
			in = strings.NewReader(c.says + rest)
		}
		p := &proxy{Reader: in}
		err := Connect(p, netip.MustParseAddrPort(c.to), c.login)
		if !errors.Is(err, c.err) || p.told.String() != c.told {
			t.Errorf("%s: %v, told %q, want %q", c.name, err, p.told.String(), c.told)
		}
		if left, _ := io.ReadAll(p); c.err == nil && string(left) != rest {
			t.Errorf("%s: %q is left", c.name, left)
		}
	}
}

func TestLoginIsNotPrinted(t *testing.T) {
	t.Parallel()
	if s := joe.String() + joe.GoString(); strings.Contains(s, "secret") || strings.Contains(s, "joe") {
		t.Error(s)
	}
}

func FuzzConnect(f *testing.F) {
	f.Add([]byte("\x05\x02\x01\x00\x05\x00\x00\x03\x02ab\x00\x19"))
	f.Fuzz(func(t *testing.T, says []byte) {
		p := &proxy{Reader: bytes.NewReader(says)}
		_ = Connect(p, netip.MustParseAddrPort("192.0.2.1:25"), joe)
		if p.told.Len() > 100 {
			t.Fatalf("told %q", p.told.String())
		}
	})
}
