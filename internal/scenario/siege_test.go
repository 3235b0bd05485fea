package scenario

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postrider/internal/ledger"
	"postrider/internal/testhost"
)

const (
	attackers = 4
	// besiegers is how many connections each kind of attack keeps going from
	// each attacker; six kinds are more than one address may have.
	besiegers = 8
	// perAddress is how many connections an address may have.
	perAddress = 30
	// honestly is how long an honest client may wait for its mail to be taken
	// and delivered while the host is attacked (requirements R60, R63).
	honestly = 30 * time.Second
	// memoryUnderAttack bounds what a daemon that meets the attackers has, PSS.
	memoryUnderAttack = 96 << 20
)

// TestHonestClientsAreServedUnderAttack lets hosts attack with everything that
// needs no right: slow clients, floods, garbage, other protocols, endless
// messages and envelopes, connections in numbers. Meanwhile names lie about
// where mail goes, and a next host never answers. Honest clients send mail, and
// all of it arrives in time.
func TestHonestClientsAreServedUnderAttack(t *testing.T) {
	t.Parallel()
	network := testhost.NewNetwork(t)
	h := mailHost(t, network, "mx1.example", "alice", "bob")
	h.Control("rcpthosts", append([]string{"mx1.example"}, liars(network, h)...)...)
	// Were it not for the limit of each address, attackers would have all there is.
	h.Control("concurrencysmtp", strconv.Itoa(attackers*perAddress+10))
	h.Control("concurrencysmtpip", strconv.Itoa(perAddress))
	network.Host("stuck.example").Sink(":25", func(string, string) string { return testhost.Silence })
	friend := network.Host("friend.example")
	h.StartSuite()
	before := descriptors(h)

	book, err := ledger.New(t.TempDir() + "/ledger")
	if err != nil {
		t.Fatal(err)
	}
	// Mail that cannot go anywhere waits in the queue and takes its share.
	misled := mislead(t, h, friend, book)
	seconds := testhost.Times(t, "seconds of attack", 8, 600)
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(seconds)*time.Second)
	defer cancel()
	s := &siege{target: h.IP.String() + ":25"}
	var all sync.WaitGroup
	for n := range attackers {
		from := network.Host(fmt.Sprintf("bad%d.example", n))
		for _, a := range assaults {
			for range besiegers {
				all.Go(func() { s.keep(ctx, from, a) })
			}
		}
	}
	defer func() {
		if t.Failed() {
			t.Logf("what the scheduler said:\n%s", deliveriesOf(h))
		}
	}()
	honest := &correspondent{from: friend, to: h, book: book}
	memory := int64(0)
	for ctx.Err() == nil {
		honest.send(t)
		memory = max(memory, largest(h))
	}
	all.Wait()
	t.Logf("%d connections of attackers, %d bytes; %d messages of honest clients, slowest %.2f s; largest daemon %d kB",
		s.connections.Load(), s.bytes.Load(), honest.sent, honest.slowest.Seconds(), memory>>10)
	if honest.sent == 0 {
		t.Error("no honest client was there")
	}
	if memory > memoryUnderAttack {
		t.Errorf("a daemon took %d MB, want at most %d", memory>>20, memoryUnderAttack>>20)
	}

	// What honest clients sent is where it belongs, once; what was misled waits.
	checkMisled(t, h, misled)
	evidence := collect(t, book, h, map[string]string{"alice": "alice@mx1.example", "bob": "bob@mx1.example"})
	violations, summary := book.Check(evidence)
	t.Log(summary)
	for _, v := range violations {
		if v.Rule != "L8" && v.Rule != "L10" { // the misled wait, and floods cost lines of the log
			t.Error(v)
		}
	}
	// Nothing of the attack stays behind.
	ended := testhost.Within(t, soon)
	for after := descriptors(h); ; after = descriptors(h) {
		if after <= before+lingeringFiles {
			break
		}
		if ended.Err() != nil {
			t.Errorf("the daemons have %d open files, %d before the attack", after, before)
			break
		}
		pause(ended)
	}
	h.StopSuite()
}

// lingeringFiles are what daemons may keep open after work: folders, idle
// connections to next hosts, messages on their way to a host that is silent.
const lingeringFiles = 60

// siege counts what attackers do.
type siege struct {
	target      string
	connections atomic.Int64
	bytes       atomic.Int64
}

// assault is one connection's worth of malice. It ends when the server hangs
// up, when it has done enough, or with ctx.
type assault func(ctx context.Context, c net.Conn) error

var assaults = []assault{slowCommands, slowText, neverReads, nonsense, otherProtocol, endless}

// keep attacks again and again.
func (s *siege) keep(ctx context.Context, from *testhost.Host, a assault) {
	for ctx.Err() == nil {
		c, err := from.Dial(ctx, "tcp", s.target)
		if err != nil {
			pause(ctx)
			continue
		}
		s.connections.Add(1)
		end := context.AfterFunc(ctx, func() { c.Close() })
		// Whatever the server does to an attacker is right.
		_ = a(ctx, &countingConn{c, &s.bytes})
		end()
		c.Close()
		pause(ctx)
	}
}

type countingConn struct {
	net.Conn
	n *atomic.Int64
}

func (c *countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.n.Add(int64(n))
	return n, err
}

// drip writes a byte now and then, as a client that wants to stay.
func drip(ctx context.Context, c net.Conn, text string) error {
	for i := range len(text) {
		if _, err := io.WriteString(c, text[i:i+1]); err != nil {
			return err
		}
		select {
		case <-time.After(time.Second): // slowness is the attack
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func slowCommands(ctx context.Context, c net.Conn) error {
	return drip(ctx, c, "EHLO "+strings.Repeat("slow.", 40)+"example\r\n")
}

// enter begins a transaction, as far as the server lets it.
func enter(c net.Conn, recipient string) error {
	_, err := io.WriteString(c, "EHLO bad.example\r\nMAIL FROM:<x@bad.example>\r\nRCPT TO:<"+recipient+">\r\nDATA\r\n")
	return err
}

func slowText(ctx context.Context, c net.Conn) error {
	if err := enter(c, "alice@mx1.example"); err != nil {
		return err
	}
	return drip(ctx, c, "Subject: "+strings.Repeat("s", 1000))
}

// neverReads asks and asks and does not want the answers.
func neverReads(_ context.Context, c net.Conn) error {
	ask := strings.Repeat("NOOP\r\nRSET\r\nHELP\r\nVRFY x\r\nMAIL FROM:<>\r\nRCPT TO:<ghost@elsewhere.example>\r\n", 100)
	for range 1000 {
		if _, err := io.WriteString(c, ask); err != nil {
			return err
		}
	}
	return nil
}

// nonsense is random bytes, some of them line ends.
func nonsense(_ context.Context, c net.Conn) error {
	junk := make([]byte, 16<<10)
	for range 64 {
		for i := range junk {
			junk[i] = byte(rand.IntN(256))
			if rand.IntN(50) == 0 {
				junk[i] = "\r\n.\x00"[rand.IntN(4)]
			}
		}
		if _, err := c.Write(junk); err != nil {
			return err
		}
	}
	return nil
}

// otherProtocol is a web browser, and a client that begins with TLS.
func otherProtocol(ctx context.Context, c net.Conn) error {
	if rand.IntN(2) == 0 {
		return tls.Client(c, &tls.Config{ServerName: "mx1.example"}).HandshakeContext(ctx)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://mx1.example/", strings.NewReader("MAIL FROM:<x@bad.example>\r\nRCPT TO:<alice@mx1.example>\r\nDATA\r\n"))
	if err != nil {
		return err
	}
	return r.Write(c)
}

// endless sends one thing that never ends: a command, a header line, a body,
// an envelope.
func endless(ctx context.Context, c net.Conn) error {
	const much = 8 << 20
	piece := strings.Repeat("x", 32<<10)
	switch rand.IntN(4) {
	case 0:
		piece = "EHLO " + piece
	case 1:
		if err := enter(c, "alice@mx1.example"); err != nil {
			return err
		}
		piece = "X: " + piece
	case 2:
		if err := enter(c, "alice@mx1.example"); err != nil {
			return err
		}
		piece = strings.Repeat("Received: from x\r\n", 1000)
	case 3:
		if err := enter(c, "alice@mx1.example"); err != nil {
			return err
		}
		piece = strings.Repeat("\r\n.\n.\r\r\n", 2000) // nothing that ends a message
	}
	for sent := 0; sent < much && ctx.Err() == nil; sent += len(piece) {
		if _, err := io.WriteString(c, piece); err != nil {
			return err
		}
	}
	return nil
}

// correspondent sends one message after another and waits until it is taken.
type correspondent struct {
	from, to *testhost.Host
	book     *ledger.Ledger
	sent     int
	slowest  time.Duration
}

// send sends a message and waits until it is in the mailbox. It goes to no other
// host: name server and next host would be this process, whose processors the
// attackers use up.
func (c *correspondent) send(t *testing.T) {
	t.Helper()
	id := fmt.Sprintf("honest-%d", c.sent)
	recipients := []string{"alice@mx1.example"}
	text, hash := ledger.Compose(id, "pal@friend.example", recipients[0], 4096)
	ctx, cancel := context.WithTimeout(t.Context(), honestly)
	defer cancel()
	start := time.Now()
	c.book.Intend(ledger.Intent{ID: id, Via: "smtp", Sender: "pal@friend.example", Recipients: recipients, Hash: hash})
	if err := smtp(ctx, c.from, c.to, "pal@friend.example", recipients, text); err != nil {
		t.Fatalf("an honest client was refused after %v: %v\nlog:\n%s", time.Since(start), err, c.to.Log().Timed(max(0, c.to.Log().Len()-100)))
	}
	c.book.Ack(id)
	// A flood may cost lines of the log, so that it cannot tell.
	c.sent++
	c.to.Maildir("alice").Wait(ctx, c.sent)
	c.slowest = max(c.slowest, time.Since(start))
}

// liars makes domains whose records mislead, and returns their names.
func liars(network *testhost.Network, h *testhost.Host) []string {
	z := network.Zone()
	z.Add(
		"ring.example. CNAME ring2.example.", "ring2.example. CNAME ring.example.",
		"zero.example. A 0.0.0.0", "loopback.example. A 127.0.0.1", "mapped.example. AAAA ::ffff:127.0.0.1",
	)
	z.MX("self.example", 0, "mx1.example")
	z.MX("literal.example", 0, h.IP.String())
	for n := range 400 {
		z.MX("crowd.example", n%3, fmt.Sprintf("no%d.crowd.example", n))
	}
	z.Fail("broken.example")
	z.Refuse("closed.example")
	z.Silence("silent.example")
	return []string{
		"ring.example", "zero.example", "loopback.example", "mapped.example", "self.example", "literal.example",
		"crowd.example", "broken.example", "closed.example", "silent.example", "stuck.example",
	}
}

// mislead sends mail to every liar and to the host that never answers.
func mislead(t *testing.T, h, from *testhost.Host, book *ledger.Ledger) []string {
	t.Helper()
	ctx := testhost.Within(t, soon)
	var ids []string
	for _, domain := range []string{
		"ring.example", "zero.example", "loopback.example", "mapped.example", "self.example", "literal.example",
		"crowd.example", "broken.example", "closed.example", "silent.example", "stuck.example",
	} {
		id, to := "misled-"+domain, "x@"+domain
		text, hash := ledger.Compose(id, "bob@mx1.example", to, 600)
		book.Intend(ledger.Intent{ID: id, Via: "smtp", Sender: "bob@mx1.example", Recipients: []string{to}, Hash: hash})
		if err := smtp(ctx, from, h, "bob@mx1.example", []string{to}, text); err != nil {
			t.Fatalf("%s: %v", domain, err)
		}
		book.Ack(id)
		ids = append(ids, to)
	}
	return ids
}

// checkMisled looks for what must not have come of a name server's word: a
// message that came back to its own host, or that was given up because of a
// trouble that may pass.
func checkMisled(t *testing.T, h *testhost.Host, recipients []string) {
	t.Helper()
	passing := []string{"broken", "closed", "silent", "stuck"}
	for _, line := range h.Log().Lines(0) {
		if strings.Contains(line.Text, "qmail-smtpd: ") && strings.Contains(line.Text, " ip="+h.IP.String()+" ") {
			t.Errorf("the host connected to itself: %s", line.Text)
		}
	}
	deliveries := make(map[string]string) // number to recipient
	for _, line := range h.Log().Lines(0) {
		f := strings.Fields(line.Text)
		switch {
		case len(f) == 8 && f[0] == "starting":
			deliveries[strings.TrimSuffix(f[2], ":")] = f[7]
		case len(f) > 2 && f[0] == "delivery" && f[2] == "failure:":
			to := deliveries[strings.TrimSuffix(f[1], ":")]
			name, _, _ := strings.Cut(strings.TrimPrefix(to, "x@"), ".")
			if slices.Contains(recipients, to) && slices.Contains(passing, name) {
				t.Errorf("%s was given up for a trouble that may pass: %s", to, line.Text)
			}
		}
	}
}

// deliveriesOf are the lines of the log about messages and deliveries.
func deliveriesOf(h *testhost.Host) string {
	var b strings.Builder
	for _, line := range h.Log().Lines(0) {
		if !strings.HasPrefix(line.Text, "qmail-smtpd: ") {
			fmt.Fprintf(&b, "%s %s\n", line.When.Format("05.000"), line.Text)
		}
	}
	return b.String()
}

// descriptors counts the open files of all daemons.
func descriptors(h *testhost.Host) int {
	n := 0
	for _, p := range h.Daemons() {
		n += len(p.Files)
	}
	return n
}

// largest returns the memory (PSS) of the daemon that has most, in bytes.
func largest(h *testhost.Host) int64 {
	most := int64(0)
	for _, p := range h.Daemons() {
		most = max(most, h.Memory(p.PID))
	}
	return most
}
