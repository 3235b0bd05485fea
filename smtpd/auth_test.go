package smtpd

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"postrider/internal/wire/auth"
	"postrider/internal/wire/parent"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func plainWord(user, password string) string {
	return "AUTH PLAIN " + b64("\x00"+user+"\x00"+password)
}

// authHost is a host without TLS where joe can log in.
func authHost(t *testing.T, files map[string]string) (*host, *fakeAuth) {
	t.Helper()
	all := map[string]string{"authinsecure": "1\n", "authcram": "1\n"}
	for name, text := range files {
		all[name] = text
	}
	h := startHost(t, all)
	f := h.giveUsers(map[string]string{"joe": "secret"})
	h.listenAs()
	return h, f
}

// say sends a line and returns the reply.
func (c *client) say(line string) string {
	c.t.Helper()
	c.send(line + "\r\n")
	return c.reply()
}

// challenge sends a line and returns what the server then asks.
func (c *client) challenge(line string) string {
	c.t.Helper()
	got := c.say(line)
	text, found := strings.CutPrefix(got, "334 ")
	plain, err := base64.StdEncoding.DecodeString(text)
	if err != nil || !found {
		c.t.Fatalf("%q: %q", line, got)
	}
	return string(plain)
}

func TestCRAMMD5(t *testing.T) {
	t.Parallel()
	h, _ := authHost(t, nil)
	for password, want := range map[string]string{"secret": "235 ", "Secret": "535 "} {
		c := h.dial()
		c.play(hello)
		challenge := c.challenge("AUTH CRAM-MD5")
		if !strings.HasPrefix(challenge, "<") || !strings.HasSuffix(challenge, "@mx.example.org>") {
			t.Errorf("challenge %q", challenge)
		}
		sum := hmac.New(md5.New, []byte(password))
		sum.Write([]byte(challenge))
		if got := c.say(b64("joe " + hex.EncodeToString(sum.Sum(nil)))); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", password, got)
		}
	}
}

// scramClient is the client's side of an exchange (RFC 5802).
type scramClient struct {
	mechanism, header, user, password string
	binding                           []byte
	// spoil changes the last message.
	spoil func(string) string
}

// login returns the last reply; the server's signature is checked.
func (s scramClient) login(c *client) string {
	c.t.Helper()
	bare := "n=" + s.user + ",r=clientnonce"
	got := c.say("AUTH " + s.mechanism + " " + b64(s.header+bare))
	coded, asked := strings.CutPrefix(got, "334 ")
	if !asked {
		return got
	}
	text, err := base64.StdEncoding.DecodeString(coded)
	if err != nil {
		c.t.Fatal(err)
	}
	first := string(text)
	fields := strings.Split(first, ",")
	salt, err := base64.StdEncoding.DecodeString(fields[1][2:])
	var iterations int
	if _, scanErr := fmt.Sscanf(fields[2], "i=%d", &iterations); scanErr != nil || err != nil || !strings.HasPrefix(fields[0], "r=clientnonce") || len(fields[0]) < 30 {
		c.t.Fatalf("first message %q", first)
	}
	without := "c=" + base64.StdEncoding.EncodeToString(append([]byte(s.header), s.binding...)) + "," + fields[0]
	salted, err := pbkdf2.Key(sha256.New, s.password, salt, iterations, sha256.Size)
	if err != nil {
		c.t.Fatal(err)
	}
	message := bare + "," + first + "," + without
	key := mac(salted, "Client Key")
	stored := sha256.Sum256(key)
	proof := make([]byte, sha256.Size)
	subtle.XORBytes(proof, key, mac(stored[:], message))
	final := without + ",p=" + base64.StdEncoding.EncodeToString(proof)
	if s.spoil != nil {
		final = s.spoil(final)
	}
	got = c.say(b64(final))
	if coded, asked = strings.CutPrefix(got, "334 "); !asked {
		return got
	}
	want := b64("v=" + base64.StdEncoding.EncodeToString(mac(mac(salted, "Server Key"), message)))
	if coded != want {
		c.t.Errorf("signature %q, want %q", coded, want)
	}
	return c.say("")
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func TestSCRAM(t *testing.T) {
	t.Parallel()
	h, _ := authHost(t, nil)
	good := scramClient{mechanism: "SCRAM-SHA-256", header: "n,,", user: "joe", password: "secret"}
	with := func(change func(*scramClient)) scramClient {
		s := good
		change(&s)
		return s
	}
	for _, c := range []struct {
		name   string
		client scramClient
		want   string
	}{
		{"right", good, "235 "},
		{"as oneself", with(func(s *scramClient) { s.header = "n,a=joe," }), "235 "},
		{"could bind", with(func(s *scramClient) { s.header = "y,," }), "235 "},
		{"as another", with(func(s *scramClient) { s.header = "n,a=jim," }), "535 "},
		{"wrong password", with(func(s *scramClient) { s.password = "x" }), "535 "},
		{"unknown", with(func(s *scramClient) { s.user = "jim" }), "535 "},
		{"nobody can tell", with(func(s *scramClient) { s.user = brokenUser }), "454 "},
		{"binding without TLS", with(func(s *scramClient) { s.header = "p=tls-exporter,,"; s.binding = []byte("x") }), "535 "},
		{"another header", with(func(s *scramClient) { s.binding = []byte("x") }), "535 "},
		{"another nonce", with(func(s *scramClient) {
			s.spoil = func(f string) string { return strings.Replace(f, "r=client", "r=Client", 1) }
		}), "535 "},
		{"no proof", with(func(s *scramClient) { s.spoil = func(f string) string { return f[:strings.Index(f, ",p=")] } }), "535 "},
		{"plus", with(func(s *scramClient) { s.mechanism = scramPlus }), "504 "},
	} {
		client := h.dial()
		client.play(hello)
		if got := c.client.login(client); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestChannelBinding: who binds proves that nobody is in between, and who
// could and was told not to is turned away.
func TestChannelBinding(t *testing.T) {
	t.Parallel()
	h := tlsHost(t, nil)
	h.giveUsers(map[string]string{"joe": "secret"})
	h.listenAs() // comes behind the link
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := clientConfig()
		config.MinVersion, config.MaxVersion = version, version
		for _, c := range []struct{ name, mechanism, header, binding, want string }{
			{"bound", scramPlus, "p=tls-exporter,,", "exporter", "235 "},
			{"another connection", scramPlus, "p=tls-exporter,,", "something else", "535 "},
			{"another kind", scramPlus, "p=tls-unique,,", "exporter", "535 "},
			{"bound without PLUS", "SCRAM-SHA-256", "p=tls-exporter,,", "exporter", "535 "},
			{"told not to", "SCRAM-SHA-256", "y,,", "", "535 "},
			{"PLUS without", scramPlus, "n,,", "", "535 "},
			{"cannot", "SCRAM-SHA-256", "n,,", "", "235 "},
		} {
			client, conn := h.startTLS(config)
			if offer := client.say("EHLO x"); !strings.Contains(offer, "AUTH LOGIN PLAIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS") {
				t.Errorf("offer %q", offer)
			}
			s := scramClient{mechanism: c.mechanism, header: c.header, user: "joe", password: "secret", binding: []byte(c.binding)}
			if c.binding == "exporter" {
				state := conn.ConnectionState()
				data, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
				if err != nil {
					t.Fatal(err)
				}
				s.binding = data
			}
			if got := s.login(client); !strings.HasPrefix(got, c.want) {
				t.Errorf("%s, TLS %x: %s, want %s", c.name, version, got, c.want)
			}
		}
	}
}

// Nothing of a login in plain text is left inside TLS (RFC 3207 section 4.2).
func TestNothingSurvivesSTARTTLS(t *testing.T) {
	t.Parallel()
	h := tlsHost(t, map[string]string{"authinsecure": "1\n"})
	h.giveUsers(map[string]string{"joe": "secret"})
	h.listenAs()
	relays := "MAIL FROM:<a@b.c>\r\nRCPT TO:<jim@far.example>\r\n"
	raw, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	got := plainly(t, raw, "EHLO x\r\n"+plainWord("joe", "secret")+"\r\n"+relays+"RSET\r\nSTARTTLS\r\n", 7)
	if !strings.Contains(got, "235 ") || !strings.Contains(got, "250 2.1.5 ok") || !strings.Contains(got, "220 2.0.0") {
		t.Fatalf("got %q", got)
	}
	c, _ := h.shake(raw, clientConfig())
	c.play("C: MAIL FROM:<a@b.c>\nS: 250 *\nC: RCPT TO:<jim@far.example>\nS: 553*\nC: RSET\nS: 250*\n")
	if got := c.say(plainWord("joe", "secret")); !strings.HasPrefix(got, "235 ") {
		t.Errorf("again: %s", got)
	}
	c.play("C: MAIL FROM:<a@b.c>\nS: 250 *\nC: RCPT TO:<jim@far.example>\nS: 250*\nC: DATA\nS: 354*\nC: x\nC: .\nS: 250*\nC: QUIT\nS: 221*\n")
	h.stop()
	if text := h.spool.messages()[0].text; !strings.Contains(text, "(joe@127.0.0.1)") || !strings.Contains(text, "with ESMTPSA (TLS1.3 ") || !strings.Contains(text, " encrypted, authenticated); ") {
		t.Errorf("got %q", text)
	}
}

// XCLIENT makes the session another client's, which has not logged in.
func TestXclientEndsALogin(t *testing.T) {
	t.Parallel()
	h, _ := authHost(t, map[string]string{"xclienthosts": "127.0.0.1\n"})
	c := h.dial()
	c.play(hello)
	c.play("C: " + plainWord("joe", "secret") + "\nS: 235*\nC: XCLIENT ADDR=192.0.2.7\nS: 220*\nC: MAIL FROM:<a@b.c>\nS: 250*\nC: RCPT TO:<jim@far.example>\nS: 553*\n")
}

// What a client sends as a password is in no line, however it sends it.
func TestNoSecretInTheLog(t *testing.T) {
	t.Parallel()
	h, _ := authHost(t, nil)
	bare := startHost(t, nil) // has no AUTH
	secret := b64("\x00joe\x00sEcReT")
	word := b64("sEcReT")
	for _, script := range []string{
		"AUTH PLAIN " + secret, "auth plain " + secret, "AUTH  PLAIN " + secret, "AUTH PLAIN\t" + secret, "AUTHPLAIN " + secret, "AUTH LOGIN  " + word,
		"AUTH PLAIN " + secret + "\x00", "AUTH PLAIN " + strings.Repeat(secret, 1000),
		"AUTH PLAIN\r\n" + secret, "AUTH PLAIN\r\n" + secret + "\x00", "AUTH LOGIN\r\n" + b64("joe") + "\r\n" + word,
		"AUTH NONE\r\n" + secret, "AUTH NONE\r\n" + b64("joe") + "\r\n" + word, "AUTH LOGIN =\r\n" + word + "\r\n" + word,
		"MAIL FROM:<>\r\nAUTH LOGIN\r\n" + b64("joe") + "\r\n" + word,
	} {
		for _, h := range []*host{h, bare} {
			c := h.dial()
			c.send("EHLO x\r\n" + script + "\r\nQUIT\r\n")
			for range 8 {
				if line := c.next(); strings.HasPrefix(line, "221") || line == "<end>" {
					break
				}
			}
		}
	}
	h.stop()
	bare.stop()
	log := h.log.String() + bare.log.String()
	for _, text := range []string{secret[:12], word, "sEcReT"} {
		if strings.Contains(log, text) {
			t.Errorf("%q is in the log:\n%s", text, log)
		}
	}
	want := "qmail-smtpd: auth failed ip=127.0.0.1 user=joe method=PLAIN why=wrong_user_or_password"
	if !strings.Contains(log, want+"\n") {
		t.Errorf("no line %q:\n%s", want, log)
	}
}

// Names reach the log as one safe word.
func TestNamesInTheLogAreSafe(t *testing.T) {
	t.Parallel()
	h, _ := authHost(t, nil)
	c := h.dial()
	c.play(hello)
	for _, user := range []string{"joe user=root ip=192.0.2.1\nqmail-smtpd: x", strings.Repeat("x", 9000)} {
		if got := c.say(plainWord(user, "x")); !strings.HasPrefix(got, "535 ") {
			t.Errorf("%.20q: %s", user, got)
		}
	}
	h.stop()
	for _, line := range strings.Split(h.log.String(), "\n") {
		if strings.Contains(line, "auth failed") && (!strings.HasPrefix(line, "qmail-smtpd: auth failed ip=127.0.0.1 user=") || len(strings.Fields(line)) != 7 || len(line) > 500) {
			t.Errorf("line %q", line)
		}
		if strings.HasPrefix(line, "qmail-smtpd: x") {
			t.Errorf("a client wrote the line %q", line)
		}
	}
}

// The refusal waits as long as who checks passwords says.
func TestRefusalIsDelayed(t *testing.T) {
	t.Parallel()
	const wait = 7 * time.Second
	_, first, last := delayed(t, func(s *session) {
		s.settings.authInsecure = true
		s.auth = slowToRefuse{wait}
	}, func(c net.Conn) {
		_, _ = c.Write([]byte(plainWord("joe", "x") + "\r\n"))
		time.Sleep(wait - time.Second)
		_, _ = c.Write([]byte("QUIT\r\n"))
	})
	if first != 0 || last < wait {
		t.Errorf("the greeting after %v, the last reply after %v", first, last)
	}
}

// slowToRefuse is a checker that refuses everybody.
type slowToRefuse struct{ wait time.Duration }

func (slowToRefuse) present() bool               { return true }
func (slowToRefuse) mechanisms() auth.Mechanisms { return auth.Passwords }
func (s slowToRefuse) Password(auth.Attempt, []byte) (auth.Verdict, error) {
	return auth.Verdict{Wait: s.wait}, nil
}
func (s slowToRefuse) CRAM(auth.Attempt, []byte, []byte) (auth.Verdict, error) {
	return auth.Verdict{Wait: s.wait}, nil
}
func (slowToRefuse) Salt(auth.Attempt) ([]byte, uint32, error) { return nil, 0, nil }
func (s slowToRefuse) Proof(auth.Attempt, []byte, []byte) (auth.Verdict, error) {
	return auth.Verdict{Wait: s.wait}, nil
}

// Who checks passwords ends and is there again: in between the answer is
// temporary, and AUTH is still offered.
func TestCheckerIsStartedAgain(t *testing.T) {
	t.Parallel()
	h, f := authHost(t, nil)
	c := h.dial()
	c.play(hello)
	h.d.passwords.lose(t)
	if offer := c.say("EHLO x"); !strings.Contains(offer, "AUTH LOGIN PLAIN") {
		t.Errorf("offer %q", offer)
	}
	if got := c.say(plainWord("joe", "secret")); !strings.HasPrefix(got, "454 ") {
		t.Errorf("without it: %s", got)
	}
	h.linkAuth(f)
	h.listenAs() // comes behind the link
	c = h.dial()
	c.play(hello)
	if got := c.say(plainWord("joe", "secret")); !strings.HasPrefix(got, "235 ") {
		t.Errorf("again: %s", got)
	}
}

// Helpers that end at their start hold up nobody: what comes next on the control
// channel, the link to the next one among it, is taken at once.
func TestHelpersDieAtTheirStart(t *testing.T) {
	t.Parallel()
	h := startHost(t, nil)
	begun := time.Now()
	for _, name := range []string{parent.Auth, parent.Sign} {
		ours, theirs := socketPair(t)
		theirs.Close()
		h.send(parent.Frame{Kind: parent.Link, Name: name, File: ours})
	}
	h.giveUsers(map[string]string{"joe": "secret"})
	h.listenAs() // comes behind the link
	c := h.dial()
	c.play(hello)
	if took := time.Since(begun); took >= 15*time.Second {
		t.Errorf("served after %v", took)
	}
}

// lose ends the link and waits until that was seen.
func (l *authLink) lose(t *testing.T) {
	t.Helper()
	ours, theirs := socketPair(t)
	theirs.Close()
	if err := l.Relink(ours); err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); l.Linked(); time.Sleep(time.Millisecond) {
		if time.Since(start) > patience {
			t.Fatal("still linked")
		}
	}
}

// A thousand attempts at once: each gets an answer, and the memory that
// sessions have borrowed is given back.
func TestManyAttempts(t *testing.T) {
	t.Parallel()
	h, f := authHost(t, map[string]string{"concurrencysmtp": "2000\n", "concurrencysmtpip": "2000\n"})
	var all sync.WaitGroup
	for i := range 1000 {
		all.Go(func() {
			conn, err := net.Dial("tcp", h.addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			c := newClient(t, conn)
			password, want := "secret", "235 "
			if i%2 == 0 {
				password, want = "wrong", "535 "
			}
			c.send("EHLO x\r\n" + plainWord("joe", password) + "\r\n")
			for line := ""; !strings.HasPrefix(line, want); {
				if line = c.next(); line == "<end>" || line[0] == '4' {
					t.Errorf("got %q", line)
					return
				}
			}
		})
	}
	all.Wait()
	h.stop()
	if used := h.d.lent.used.Load(); used != 0 {
		t.Errorf("%d octets are still lent", used)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.asked != 1000 {
		t.Errorf("%d questions", f.asked)
	}
	for _, ip := range f.clients {
		if ip != "127.0.0.1" {
			t.Errorf("asked for a client %q", ip)
		}
	}
}

// FuzzAuth feeds lines to a session that may log in: without the password
// nobody is let in, and no line shows what was sent.
func FuzzAuth(f *testing.F) {
	for _, seed := range []string{
		plainWord("joe", "wrong"), "AUTH LOGIN\r\n" + b64("joe") + "\r\n" + b64("x"), "AUTH SCRAM-SHA-256 " + b64("n,,n=joe,r=x") + "\r\n" + b64("c=biws,r=x,p=") + "\r\n",
		"AUTH CRAM-MD5\r\n" + b64("joe 00112233445566778899aabbccddeeff"), "AUTH PLAIN =\r\n*\r\nAUTH PLAIN\r\n*",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, input string) {
		if strings.Contains(input, b64("secret")) || strings.Contains(input, b64("\x00joe\x00secret")) {
			return
		}
		s, q := newTestSession(&scriptedConn{pieces: []string{input + "\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<jim@far.example>\r\nDATA\r\nx\r\n.\r\n"}})
		s.lenient = true
		s.settings.authInsecure, s.settings.authCRAM = true, true
		s.auth = slowToRefuse{}
		_ = s.run() // ends at the end of input
		if len(q.taken) > 0 || s.loggedIn() != "" {
			t.Fatalf("%q: let in", input)
		}
		if used := s.lent.used.Load(); used != 0 {
			t.Fatalf("%d octets are still lent", used)
		}
	})
}
