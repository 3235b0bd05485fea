package qmailremote

import (
	"bufio"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"postrider/internal/dkim/dkimtest"
	"postrider/internal/dkimsign"
	"postrider/internal/esmtp"
	"postrider/internal/queuedir"
	"postrider/internal/wire/call"
	"postrider/internal/wire/sign"
)

// keeper is a qmail-tlskey with keys of DKIM.
type keeper struct {
	rsa     *rsa.PrivateKey
	ed25519 ed25519.PrivateKey
	asked   atomic.Int32 // for signatures
}

func newKeeper(t testing.TB) *keeper {
	t.Helper()
	k := &keeper{}
	var errs [2]error
	k.rsa, errs[0] = rsa.GenerateKey(rand.Reader, 2048)
	_, k.ed25519, errs[1] = ed25519.GenerateKey(rand.Reader)
	if errs != [2]error{} {
		t.Fatal(errs)
	}
	return k
}

// serve gives a signer a link to the keeper, and returns the keeper's end.
func (k *keeper) serve(t testing.TB, s *signer) *os.File {
	t.Helper()
	var keys []sign.Key
	for name, key := range map[string]crypto.Signer{"r.pem": k.rsa, "e.pem": k.ed25519} {
		public, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, sign.Key{Chain: sign.Chain{Name: name, Certificates: [][]byte{public}}, Signer: key})
	}
	ours, theirs := pair(t)
	if err := s.client.Relink(ours); err != nil {
		t.Fatal(err)
	}
	go call.Serve(theirs, 4, func(question []byte) []byte {
		if question[0] == 'S' {
			k.asked.Add(1)
		}
		return sign.Answer(question, keys, nil)
	})
	if err := s.learn(); err != nil {
		t.Fatal(err)
	}
	return theirs
}

// collector takes messages for all addresses, and keeps them as they came.
type collector struct {
	mu     sync.Mutex
	offers string // to EHLO
	got    []string
}

func collect(t *testing.T, h *host, offers string) *collector {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c := &collector{offers: offers}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go c.serve(conn)
		}
	}()
	h.client.dial = func(ctx context.Context, _ netip.Addr, _ netip.AddrPort) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
	}
	return c
}

func (c *collector) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	answer := "220 collector"
	var message *strings.Builder
	for {
		if answer != "" {
			conn.Write([]byte(answer + "\r\n"))
		}
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSuffix(line, "\r\n")
		answer = "250 ok"
		switch {
		case message != nil && line == ".":
			c.mu.Lock()
			c.got = append(c.got, message.String())
			c.mu.Unlock()
			message = nil
		case message != nil:
			message.WriteString(strings.TrimPrefix(line, ".") + "\n")
			answer = ""
		case strings.HasPrefix(line, "EHLO"):
			c.mu.Lock()
			answer = "250-collector\r\n250 " + c.offers
			c.mu.Unlock()
		case line == "DATA":
			message, answer = &strings.Builder{}, "354 go"
		}
	}
}

func (c *collector) offer(extension string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offers = extension
}

func (c *collector) messages() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.got...)
}

// signingHost is a host whose mail is signed.
func signingHost(t *testing.T, offers string, lines ...string) (*host, *keeper, *collector) {
	t.Helper()
	h := newHost(t, oneMX...)
	table, err := dkimsign.Parse(lines)
	if err != nil {
		t.Fatal(err)
	}
	h.set.dkim = table
	h.client.signer = newSigner(h.client.clock)
	k := newKeeper(t)
	k.serve(t, h.client.signer)
	return h, k, collect(t, h, offers)
}

var bothKeys = []string{"x.example s1 r.pem", "x.example e1 e.pem expire=7"}

const (
	spoolLine = "Received: (qmail 1 invoked by uid 1000); now\n"
	written   = spoolLine + "From: s@x.example\nTo: r@d.example\nSubject: x\n\n"
)

// send delivers a message of that origin and returns the report.
func (h *host) send(number byte, origin esmtp.Origin, text string) string {
	h.t.Helper()
	var id queuedir.ID
	id[0] = number
	m := mail{sender: addr(h.t, "s@x.example"), recipients: recipients(h.t, "r@d.example"), body: message(h.t, text), id: id, facts: esmtp.Message{Origin: origin}}
	o, err := h.client.deliver(context.Background(), "d.example", m)
	if err != nil {
		h.t.Error(err)
	}
	return show(o)
}

// checkSigned verifies both signatures.
func checkSigned(t *testing.T, k *keeper, message string) {
	t.Helper()
	_, second, _ := strings.Cut(message, "\nDKIM-Signature:")
	if err := dkimtest.Verify(message, k.rsa.Public()); err != nil {
		t.Errorf("RSA: %v\n%s", err, message)
	}
	if err := dkimtest.Verify("DKIM-Signature:"+second, k.ed25519.Public()); err != nil {
		t.Errorf("Ed25519: %v\n%s", err, message)
	}
}

// What a server gets is what was signed, in whatever form it takes it.
func TestMessagesAreSigned(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, offers, text string }{
		{"small", "8BITMIME", written + "x\n.\n..y \n\n"},
		{"large", "SIZE", written + strings.Repeat("A line of text, or so.\n", 5000)},
		{"large, in 7 bits", "SIZE", written + strings.Repeat("Z\u00fcge.\n", 5000)},
		{"small, in 7 bits", "SIZE", written + "\u00f6\n"},
		{"8 bits", "8BITMIME", written + "\u00f6\n"},
		{"only the header has 8 bits", "SIZE", spoolLine + "From: \u00f6 <s@x.example>\n\nx\n"},
		{"stored CR", "SIZE", written + "x\r\ny\rz\r\n"},
		{"no body", "SIZE", written[:len(written)-1]},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h, k, peer := signingHost(t, c.offers, bothKeys...)
			want := "r|K192.0.2.1 accepted message./Remote host said: 250 ok/DKIM d=x.example; s=s1./DKIM d=x.example; s=e1./|"
			if got := h.send(1, esmtp.FromHere, c.text); got != want {
				t.Errorf("got %s\nwant %s", got, want)
			}
			got := peer.messages()
			if len(got) != 1 {
				t.Fatalf("%d messages", len(got))
			}
			checkSigned(t, k, got[0])
			if strings.Contains(c.name, "7 bits") != strings.Contains(got[0], "Content-Transfer-Encoding: quoted-printable") {
				t.Errorf("got %.2000s", got[0])
			}
		})
	}
}

// Only mail of this host's own users is signed, by the domain of its author.
func TestWhoseMailIsSigned(t *testing.T) {
	t.Parallel()
	h, _, peer := signingHost(t, "SIZE", append(bothKeys, ".x.example s1 r.pem", "no.x.example -")...)
	from := func(field string) string { return spoolLine + field + "\n\nx\n" }
	for i, c := range []struct {
		name   string
		origin esmtp.Origin
		text   string
		want   string
	}{
		{"a program's", esmtp.FromHere, written, "x.example x.example"},
		{"forwarded", esmtp.FromHere, spoolLine + written, ""},
		{"forwarded from a mailbox", esmtp.FromHere, "Delivered-To: y\n" + written, ""},
		{"a client's that may relay", esmtp.FromClient, spoolLine + written, "x.example x.example"},
		{"a stranger's", 0, written, ""},
		{"another author", esmtp.FromHere, from("From: s@y.example"), ""},
		{"no author", esmtp.FromHere, from("Sender: s@x.example"), ""},
		{"two authors", esmtp.FromHere, from("From: s@x.example, s@y.example"), ""},
		{"below the domain", esmtp.FromHere, from("From: s@a.X.example"), "x.example"},
		{"not this one", esmtp.FromHere, from("From: s@no.x.example"), ""},
	} {
		if got := h.send(byte(i), c.origin, c.text); !strings.HasPrefix(got, "r|K") {
			t.Errorf("%s: %s", c.name, got)
		}
		all := peer.messages()
		var got []string
		for _, part := range strings.Split(all[len(all)-1], "DKIM-Signature: ")[1:] {
			_, domain, _ := strings.Cut(part, "d=")
			domain, _, _ = strings.Cut(domain, ";")
			got = append(got, domain)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: signed by %q, want %q", c.name, got, c.want)
		}
	}
}

// A message is signed once, whatever hosts it goes to, and again for another
// form or other keys.
func TestSignedOnce(t *testing.T) {
	t.Parallel()
	h, k, peer := signingHost(t, "SIZE", bothKeys...)
	text := written + "\u00f6\n"
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { h.send(1, esmtp.FromHere, text) })
	}
	all.Wait()
	if n := k.asked.Load(); n != 2 {
		t.Errorf("%d signatures for one message", n)
	}
	peer.offer("8BITMIME")
	h.client.pool.close() // the next one is asked what it takes
	h.send(1, esmtp.FromHere, text)
	if n := k.asked.Load(); n != 4 {
		t.Errorf("%d signatures for two forms", n)
	}
	k.serve(t, h.client.signer)
	h.send(1, esmtp.FromHere, text)
	h.send(2, esmtp.FromHere, text)
	if n := k.asked.Load(); n != 8 {
		t.Errorf("%d signatures with new keys, and for another message", n)
	}
	for _, m := range peer.messages() {
		checkSigned(t, k, m)
	}
	for i := range 2 * keepSignatures {
		h.client.signer.begin(madeFor{id: queuedir.ID{byte(i), byte(i >> 8), 1}}, nil)
	}
	if n := len(h.client.signer.made); n > keepSignatures || n != len(h.client.signer.order) {
		t.Errorf("%d signatures are kept, in an order of %d", n, len(h.client.signer.order))
	}
}

// A message that cannot be signed waits, and no server hears of it.
func TestNotSigned(t *testing.T) {
	t.Parallel()
	h, k, peer := signingHost(t, "SIZE", append(bothKeys, "y.example s1 lost.pem")...)
	const waits = "ZUnable to sign message for x.example, for which control/dkimsign has a line: "
	end := k.serve(t, h.client.signer)
	end.Close()
	if got := h.send(1, esmtp.FromHere, written); !strings.HasPrefix(got, waits+"selector s1: qmail-tlskey: ") || !strings.HasSuffix(got, "(#4.7.0)/|") {
		t.Errorf("nobody there: %s", got)
	}
	if got := h.send(2, esmtp.FromHere, strings.ReplaceAll(written, "x.example", "y.example")); !strings.HasPrefix(got, strings.ReplaceAll(waits, "x.example", "y.example")+
		"qmail-tlskey does not have the key control/domainkeys/lost.pem") {
		t.Errorf("no key: %s", got)
	}
	if got := h.send(3, esmtp.FromHere, strings.ReplaceAll(written, "From: s@x", "From: s@z")); !strings.HasPrefix(got, "r|K") {
		t.Errorf("another domain's mail: %s", got)
	}
	k.serve(t, h.client.signer)
	if got := h.send(1, esmtp.FromHere, written); !strings.HasPrefix(got, "r|K") {
		t.Errorf("when it is there again: %s", got)
	}
	if got := h.send(4, esmtp.FromHere, spoolLine+strings.Repeat("X: y\n", 300000)+written); got != "DUnable to sign message: its header is longer than 512 KiB. (#5.6.0)/|" {
		t.Errorf("a long header: %s", got)
	}
	if got := h.send(7, esmtp.FromHere, spoolLine+"Received: from far\n"+strings.Repeat("X: y\n", 300000)+written); !strings.HasPrefix(got, "r|K") {
		t.Errorf("a long header of somebody else: %s", got)
	}
	if got := h.send(5, esmtp.FromHere, strings.Repeat("To: x\n", 60)+written); !strings.HasSuffix(got, "DUnable to sign message: its header has too many fields of one name. (#5.6.0)/|") {
		t.Errorf("many fields: %s", got)
	}
	h.client.signer = newSigner(h.client.clock)
	if got := h.send(6, esmtp.FromHere, written); got != waits+"qmail-tlskey, which has the keys, has not said which: does it run?. (#4.7.0)/|" {
		t.Errorf("before it is linked: %s", got)
	}
	if got := peer.messages(); len(got) != 3 {
		t.Errorf("%d messages were sent", len(got))
	}
}

// A delivery program has what it delivers as it is.
func TestNotSignedByLMTP(t *testing.T) {
	t.Parallel()
	h, k, _ := signingHost(t, "SIZE", bothKeys...)
	h.set.tables.lmtp = map[string]string{"d.example": "192.0.2.1"}
	h.client.dial = h.dial
	h.peer("192.0.2.1:24", "S 220 p\nC LHLO me.example.org\nS 250 p\nC MAIL FROM:<s@x.example>\nS 250 ok\nC RCPT TO:<r@d.example>\nS 250 ok\n"+
		"C DATA\nS 354 go\nD "+script(strings.ReplaceAll(strings.TrimSuffix(written, "\n"), "\n", "|"))+"\nS 250 queued"+bye)
	if got := h.send(1, esmtp.FromHere, written); !strings.HasPrefix(got, "r|K") {
		t.Errorf("got %s", got)
	}
	h.end()
	if n := k.asked.Load(); n != 0 {
		t.Errorf("%d signatures", n)
	}
}

// The file counts when it changes, and stops mail while it is not understood.
func TestDKIMSettings(t *testing.T) {
	t.Parallel()
	dir := home(t, map[string]string{"me": "me.example.org\n", "dkimsign": "x.example s1\n"})
	files := &settingsFiles{home: dir, resolvConf: filepath.Join(dir, "control/me"), clock: newHost(t).client.clock}
	if _, err := files.current(); err == nil || !strings.Contains(err.Error(), `control/dkimsign, line 1: "x.example s1"`) {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "control/dkimsign"), []byte("x.example s1 k\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	set, err := files.current()
	if err != nil || set.dkim.Empty() {
		t.Errorf("%v", err)
	}
}

func TestExplainDKIM(t *testing.T) {
	t.Parallel()
	h, _, _ := signingHost(t, "SIZE", append(bothKeys, "no.example -")...)
	for sender, want := range map[string]string{
		"s@X.example":  "dkim: signed by x.example, selector s1, with control/domainkeys/r.pem\ndkim: signed by x.example, selector e1, with control/domainkeys/e.pem\n",
		"s@no.example": "dkim: not signed, as control/dkimsign says\n",
		"s@y.example":  "dkim: not signed, control/dkimsign has no line for y.example\n",
	} {
		if got, status := h.explained("r@d.example", sender); status != 0 || !strings.Contains(got, "\n"+want+"address: ") {
			t.Errorf("%s: status %d, got\n%s", sender, status, got)
		}
	}
}
