package qmailremote

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postrider/internal/control"
	"postrider/internal/socks"
)

// proxy is a SOCKS5 proxy at an address of the network: one that connects, or
// that refuses with a reply. It wants user:password unless that is empty.
func (n *testNet) proxy(addr, login string, refusal byte) {
	n.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { l.Close() })
	n.peers[at(addr)] = &peer{net: n, name: addr, listener: l}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go n.serveProxy(c, login, refusal)
		}
	}()
}

func (n *testNet) serveProxy(c net.Conn, login string, refusal byte) {
	defer c.Close()
	read := func(size byte) []byte {
		b := make([]byte, size)
		_, _ = io.ReadFull(c, b) // what is missing is no address
		return b
	}
	methods := read(read(2)[1])
	switch {
	case login == "":
		_, _ = c.Write([]byte{5, 0})
	case bytes.IndexByte(methods, 2) < 0:
		_, _ = c.Write([]byte{5, 0xff})
		return
	default:
		_, _ = c.Write([]byte{5, 2})
		user := string(read(read(2)[1]))
		if user+":"+string(read(read(1)[0])) != login {
			_, _ = c.Write([]byte{1, 1})
			return
		}
		_, _ = c.Write([]byte{1, 0})
	}
	size := byte(4)
	if read(4)[3] == 4 {
		size = 16
	}
	ip, _ := netip.AddrFromSlice(read(size))
	port := read(2)
	to := netip.AddrPortFrom(ip, uint16(port[0])<<8|uint16(port[1]))
	if refusal != 0 {
		_, _ = c.Write([]byte{5, refusal, 0, 1, 0, 0, 0, 0, 0, 0})
		return
	}
	far, err := n.dial(context.Background(), netip.Addr{}, to)
	if err != nil {
		_, _ = c.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0})
		return
	}
	defer far.Close()
	_, _ = c.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	go func() {
		_, _ = io.Copy(far, c)
		far.Close()
	}()
	_, _ = io.Copy(c, far)
}

func TestProxies(t *testing.T) {
	t.Parallel()
	const bad = "ZUnable to use the proxy 192.0.2.99:1080 of control/outgoingip: "
	const none = "ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)/|"
	joe := map[netip.AddrPort]socks.Login{netip.MustParseAddrPort("192.0.2.99:1080"): {User: "joe", Password: "secret"}}
	for _, c := range []struct {
		name    string
		lines   string
		logins  map[netip.AddrPort]socks.Login
		login   string // that the proxy wants
		refusal byte
		away    bool // there is no proxy
		taken   bool // the server gets it
		want    string
		dialed  string
	}{
		{name: "by a proxy", lines: "0.0.0.0 socks=192.0.2.99:1080", taken: true, want: ok1, dialed: "192.0.2.99:1080 192.0.2.1"},
		{name: "from an address", lines: "192.0.2.91 socks=192.0.2.99:1080", taken: true, want: ok1, dialed: "192.0.2.91>192.0.2.99:1080 192.0.2.1"},
		{name: "with a login", lines: "0.0.0.0 socks=192.0.2.99:1080", logins: joe, login: "joe:secret", taken: true, want: ok1},
		{name: "with another login", lines: "0.0.0.0 socks=192.0.2.99:1080", logins: joe, login: "joe:other", want: bad + "the proxy refuses the login. (#4.4.1)/|"},
		{name: "without a login", lines: "0.0.0.0 socks=192.0.2.99:1080", login: "joe:other", want: bad + "the proxy wants another login, or one at all. (#4.4.1)/|"},
		{name: "not there", lines: "0.0.0.0 socks=192.0.2.99:1080", away: true, want: bad + "connection refused. (#4.4.1)/|", dialed: "192.0.2.99:1080"},
		{name: "the next one", lines: "0.0.0.0 socks=192.0.2.98:1080\n0.0.0.0 socks=192.0.2.99:1080", taken: true, want: ok1, dialed: "192.0.2.98:1080 192.0.2.99:1080 192.0.2.1"},
		{name: "for other mail", lines: "0.0.0.0 socks=192.0.2.99:1080 to=e.example", taken: true, want: ok1, dialed: "192.0.2.1"},
		{name: "for this mail", lines: "0.0.0.0\n0.0.0.0 socks=192.0.2.99:1080 to=d.example", taken: true, want: ok1, dialed: "192.0.2.99:1080 192.0.2.1"},
		{name: "it refuses", lines: "0.0.0.0 socks=192.0.2.99:1080", refusal: 2, want: none},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, "d.example. 60 IN A 192.0.2.1")
			h.own = append(h.own, netip.MustParseAddr("192.0.2.91"))
			dir := home(t, map[string]string{"outgoingip": c.lines + "\n"})
			var err error
			if h.set.sources, err = readSources(control.Dir(dir + "/control")); err != nil {
				t.Fatal(err)
			}
			h.set.proxyLogins = c.logins
			if !c.away {
				h.proxy("192.0.2.99:1080", c.login, c.refusal)
			}
			if c.taken {
				h.peer("192.0.2.1", success)
			}
			if got := h.deliver(simpleMessage, "d.example", "r@d.example"); got != c.want {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
			if got := h.dialed(); c.dialed != "" && got != c.dialed {
				t.Errorf("dialed %s, want %s", got, c.dialed)
			}
			h.end()
		})
	}
}

// TestProxyThatHangs costs the time of a connection, and no other mail.
func TestProxyThatHangs(t *testing.T) {
	t.Parallel()
	h := newHost(t, "d.example. 60 IN A 192.0.2.1", "e.example. 60 IN A 192.0.2.1")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	h.peers[at("192.0.2.99:1080")] = &peer{net: h.testNet, listener: l}
	h.set.connectTimeout = 50 * time.Millisecond
	h.set.sources = []source{{proxy: netip.MustParseAddrPort("192.0.2.99:1080"), to: "d.example"}}
	for range 3 {
		if got := h.deliver(simpleMessage, "d.example", "r@d.example"); !strings.HasPrefix(got, "ZUnable to use the proxy 192.0.2.99:1080 of control/outgoingip: ") {
			t.Errorf("got %s", got)
		}
	}
	h.set.connectTimeout = 5 * time.Second
	h.peer("192.0.2.1", success)
	if got := h.deliver(simpleMessage, "e.example", "r@d.example"); got != ok1 {
		t.Errorf("got %s", got)
	}
	h.end()
}

func TestParseProxy(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"0.0.0.0 socks=192.0.2.9:1080":                "192.0.2.9:1080",
		"192.0.2.1 socks=192.0.2.9:1080 helo=a":       "192.0.2.9:1080",
		"2001:db8::1 socks=[2001:db8::2]:1080":        "[2001:db8::2]:1080",
		"0.0.0.0 socks=[::ffff:192.0.2.9]:1080":       "192.0.2.9:1080",
		"2001:db8::1 socks=192.0.2.9:1080":            "",
		"0.0.0.0 socks=proxy.example:1080":            "",
		"0.0.0.0 socks=192.0.2.9":                     "",
		"0.0.0.0 socks=192.0.2.9:0":                   "",
		"0.0.0.0 socks=0.0.0.0:1080":                  "",
		"0.0.0.0 socks=192.0.2.9:1 socks=192.0.2.9:2": "",
		"0.0.0.0 socks":                               "",
	} {
		s, err := parseSource(line)
		if got := s.proxy.String(); want == "" && err == nil || want != "" && got != want {
			t.Errorf("%q: %s, %v", line, got, err)
		}
	}
}

func TestProxyLogins(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"192.0.2.9:1080|joe|se|cret\n": "joe se|cret", "192.0.2.9:1080|joe\n": "!", "192.0.2.9|joe|x\n": "!", "192.0.2.9:1080||x\n": "!",
		"192.0.2.9:1080|joe|" + strings.Repeat("x", 256): "!",
	} {
		c := newDeliveryCase("")
		c.private["outgoingsocks"] = text
		h := newHost(t)
		c.settings(t, h)
		set, err := h.client.settings()
		got := "!"
		if err == nil {
			l := set.proxyLogins[netip.MustParseAddrPort("192.0.2.9:1080")]
			got = l.User + " " + l.Password
		} else if strings.Contains(err.Error(), "joe") {
			t.Errorf("told: %v", err)
		}
		if got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	dir := home(t, map[string]string{"outgoingsocks": "192.0.2.9:1080|joe|secret\n"})
	if _, err := proxyLogins(control.Dir(dir + "/control")); err == nil {
		t.Error("a file that others can read is taken")
	}
}
