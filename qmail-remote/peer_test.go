package qmailremote

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"postrider/internal/address"
	"postrider/internal/clock"
	"postrider/internal/resolver"
	"postrider/internal/resolver/resolvertest"
)

// A script is what a peer does on one connection, a step a line:
//
//	S text   send the line
//	S- text  send the text without a line end, "\r\n" in it as CR LF
//	C line   expect exactly this line
//	D lines  expect a message, its lines joined by "|", and the end mark
//	O text   expect these octets, with Go's escapes
//	E end    expect the end of the connection, and not an octet before it
//	M n      expect the message up to n bytes, leave the rest unread
//	1 n      expect n lines that arrive in one piece
//	W n      be slow: wait n milliseconds
//	. close  close the connection; also what happens at the end
//	! reset  reset it
//	~ hang   do nothing until the test ends
//	@ event  call the test
//	T tls    shake hands for TLS, with the certificate of the network
//	T! fail  fail to
//	T? tls   begin to, and expect the client to give up
type script string

// testNet is the network of one test: peers by the address and port that the
// client dials.
type testNet struct {
	t     *testing.T
	mu    sync.Mutex
	peers map[netip.AddrPort]*peer
	dials []string
	fails map[netip.AddrPort]error
	dead  map[netip.AddrPort]bool // connections to it get no answer
	own   []netip.Addr
	cert  *tls.Certificate // of peers
	names []string         // that peers were asked for
	// asksWho: peers ask for a certificate; shown is whose they get.
	asksWho bool
	shown   []string
	event   func()
	done    chan struct{}
	end     sync.Once
}

func newTestNet(t *testing.T) *testNet {
	n := &testNet{t: t, peers: map[netip.AddrPort]*peer{}, fails: map[netip.AddrPort]error{}, dead: map[netip.AddrPort]bool{}, done: make(chan struct{})}
	t.Cleanup(n.finish)
	return n
}

// finish ends what peers do without end.
func (n *testNet) finish() { n.end.Do(func() { close(n.done) }) }

// at reads "192.0.2.1" (port 25) or "192.0.2.1:587".
func at(s string) netip.AddrPort {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap
	}
	return netip.AddrPortFrom(netip.MustParseAddr(s), smtpPort)
}

func (n *testNet) dial(ctx context.Context, from netip.Addr, addr netip.AddrPort) (net.Conn, error) {
	n.mu.Lock()
	p, fail, dead := n.peers[addr], n.fails[addr], n.dead[addr]
	dial := strings.TrimSuffix(addr.String(), ":25")
	if from.IsValid() {
		dial = from.String() + ">" + dial
	}
	n.dials = append(n.dials, dial)
	if from.IsValid() && !slices.Contains(n.own, from) {
		fail = syscall.EADDRNOTAVAIL
	}
	n.mu.Unlock()
	switch {
	case dead:
		<-ctx.Done()
		return nil, ctx.Err()
	case fail != nil:
		return nil, fail
	case p == nil:
		return nil, syscall.ECONNREFUSED
	}
	return new(net.Dialer).DialContext(ctx, "tcp", p.listener.Addr().String())
}

// dialed lists what was dialed so far.
func (n *testNet) dialed() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.dials, " ")
}

// peer is a server that follows a script for each connection in turn.
type peer struct {
	net      *testNet
	name     string
	listener net.Listener
	finished sync.WaitGroup
	mu       sync.Mutex
	scripts  []script
	faults   []string
	one      chan struct{} // closes when the first connection is closed
	once     sync.Once
}

// peer starts a peer. At the end of the test all its scripts must have run.
func (n *testNet) peer(addr string, scripts ...script) *peer {
	n.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		n.t.Fatal(err)
	}
	p := &peer{net: n, name: addr, listener: l, scripts: scripts, one: make(chan struct{})}
	n.mu.Lock()
	n.peers[at(addr)] = p
	n.mu.Unlock()
	p.finished.Add(len(scripts))
	go p.accept()
	n.t.Cleanup(func() { l.Close() })
	return p
}

func (p *peer) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		if len(p.scripts) == 0 {
			p.faults = append(p.faults, "one connection more than there are scripts")
			p.mu.Unlock()
			conn.Close()
			continue
		}
		s := p.scripts[0]
		p.scripts = p.scripts[1:]
		p.mu.Unlock()
		go func() {
			defer p.finished.Done()
			defer p.once.Do(func() { close(p.one) })
			defer conn.Close()
			if err := p.follow(conn, s); err != nil {
				p.mu.Lock()
				p.faults = append(p.faults, err.Error())
				p.mu.Unlock()
			}
		}()
	}
}

func (p *peer) follow(conn net.Conn, s script) error {
	r := bufio.NewReaderSize(conn, 1<<16)
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	for _, step := range strings.Split(strings.TrimSpace(string(s)), "\n") {
		verb, arg, _ := strings.Cut(strings.TrimLeft(step, "\t"), " ")
		var err error
		switch verb {
		case "S":
			_, err = io.WriteString(conn, arg+"\r\n")
		case "S-":
			_, err = io.WriteString(conn, strings.ReplaceAll(arg, `\r\n`, "\r\n"))
		case "C":
			err = expectLine(r, arg)
		case "T":
			conn, err = p.net.serveTLS(conn)
			r = bufio.NewReader(conn)
		case "T?":
			if _, failed := p.net.serveTLS(conn); failed == nil {
				err = errors.New("the handshake went well")
			}
		case "T!":
			if _, err = r.ReadByte(); err == nil {
				_, err = io.WriteString(conn, "no TLS at all\r\n")
			}
		case "D":
			err = expectMessage(r, arg)
		case "O":
			err = expectOctets(r, arg)
		case "E":
			if got, failed := r.ReadByte(); failed == nil {
				err = fmt.Errorf("got %q", got)
			} else if errors.Is(failed, os.ErrDeadlineExceeded) {
				err = failed
			}
		case "M":
			var count int
			fmt.Sscan(arg, &count)
			_, err = io.CopyN(io.Discard, r, int64(count))
		case "W":
			var count int
			fmt.Sscan(arg, &count)
			time.Sleep(time.Duration(count) * time.Millisecond)
		case "1":
			var count int
			fmt.Sscan(arg, &count)
			err = expectPiece(conn, r, count)
		case ".":
			return nil
		case "!":
			conn.(*net.TCPConn).SetLinger(0)
			return nil
		case "@":
			p.net.event()
		case "~":
			<-p.net.done
			return nil
		default:
			err = errors.New("unknown step")
		}
		if err != nil {
			return fmt.Errorf("%s at %q: %w", p.name, step, err)
		}
	}
	return nil
}

func expectLine(r *bufio.Reader, want string) error {
	got, err := r.ReadString('\n')
	if err != nil {
		return fmt.Errorf("got %q, %w", got, err)
	}
	if got != want+"\r\n" {
		return fmt.Errorf("got %q", got)
	}
	return nil
}

func expectMessage(r *bufio.Reader, want string) error {
	var lines []string
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		line, ok := strings.CutSuffix(line, "\r\n")
		if !ok || strings.ContainsAny(line, "\r\n") {
			return fmt.Errorf("line %q", line)
		}
		if line == "." {
			break
		}
		lines = append(lines, line)
	}
	if got := strings.Join(lines, "|"); got != want {
		return fmt.Errorf("got message %q", got)
	}
	return nil
}

func expectOctets(r *bufio.Reader, quoted string) error {
	want, err := strconv.Unquote(`"` + quoted + `"`)
	if err != nil {
		return err
	}
	got := make([]byte, len(want))
	n, err := io.ReadFull(r, got)
	if string(got[:n]) != want {
		return fmt.Errorf("got %q", got[:n])
	}
	return err
}

// expectPiece reads count lines and fails if the last ones come only after
// the first ones were answered: nothing is answered here.
func expectPiece(conn net.Conn, r *bufio.Reader, count int) error {
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	for range count {
		if _, err := r.ReadString('\n'); err != nil {
			return err
		}
	}
	return nil
}

// check waits for the peers and reports what they did not like. Scripts that
// have not begun are an error.
func (n *testNet) check() {
	n.t.Helper()
	n.mu.Lock()
	peers := make([]*peer, 0, len(n.peers))
	for _, p := range n.peers {
		peers = append(peers, p)
	}
	n.mu.Unlock()
	for _, p := range peers {
		p.mu.Lock()
		left := len(p.scripts)
		p.mu.Unlock()
		if left > 0 {
			n.t.Errorf("%s: %d scripts were never begun", p.name, left)
			continue
		}
		p.finished.Wait()
		p.mu.Lock()
		for _, f := range p.faults {
			n.t.Error(f)
		}
		p.mu.Unlock()
	}
}

// host is a client in a testNet.
type host struct {
	*testNet
	dns    *resolvertest.Server
	set    settings
	client *client
}

// newHost returns a host whose name server knows the zone.
func newHost(t *testing.T, zone ...string) *host {
	t.Helper()
	n := newTestNet(t)
	d := resolvertest.Start(t, zone...)
	h := &host{testNet: n, dns: d}
	h.set = settings{
		helo:           "me.example.org",
		connectTimeout: 5 * time.Second,
		remoteTimeout:  5 * time.Second,
		chunking:       true,
	}
	h.ask(d.Config())
	h.client = &client{
		clock:    clock.Real(),
		settings: func() (*settings, error) { return &h.set, nil },
		own:      &ownAddresses{list: func() ([]netip.Addr, error) { return n.own, nil }, clock: clock.Real()},
		dial:     n.dial,
		down:     newDownHosts(clock.Real(), nil),
		pool:     newPool(clock.Real(), 0),
		headers:  make(chan struct{}, headersAtOnce),
	}
	return h
}

// ask has the host ask name servers.
func (h *host) ask(config resolver.Config) {
	r := resolver.New(config, clock.Real())
	h.set.dns, h.set.authentic = r, r
}

// messageFile makes a message file of text and opens it for reading.
func messageFile(t testing.TB, text string) *os.File {
	t.Helper()
	path := t.TempDir() + "/message"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// message makes a message of text.
func message(t testing.TB, text string) *body {
	t.Helper()
	b, err := openBody(messageFile(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func addr(t testing.TB, s string) address.Address {
	t.Helper()
	a, err := address.New(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return a
}

// deliver sends a message from s@x.example and returns the reports in the
// classic form, NUL shown as "|" and LF as "/".
func (h *host) deliver(text, domain string, recipients ...string) string {
	h.t.Helper()
	m := mail{sender: addr(h.t, "s@x.example"), body: message(h.t, text)}
	for _, r := range recipients {
		m.recipients = append(m.recipients, addr(h.t, r))
	}
	o, err := h.client.deliver(context.Background(), domain, m)
	if err != nil {
		h.t.Errorf("deliver: %v", err)
	}
	return show(o)
}

func show(o outcome) string {
	return strings.NewReplacer("\x00", "|", "\n", "/").Replace(classicReports(o))
}

// end ends the connections at rest and checks the peers.
func (h *host) end() {
	h.t.Helper()
	h.client.pool.close()
	h.check()
}

func sortedWords(s string) string {
	words := strings.Fields(s)
	slices.Sort(words)
	return strings.Join(words, " ")
}

// shortDNS makes the host impatient with its name server.
func (h *host) shortDNS() {
	config := h.dns.Config()
	config.Timeout = 50 * time.Millisecond
	h.ask(config)
}
