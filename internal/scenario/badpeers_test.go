package scenario

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"postrider/internal/testhost"
)

// A badPeer is a server whose connections go as its scripts say, one after the
// other, a step a line:
//
//	220 text    it says that, "|" between lines; so does any line that begins with a digit
//	> word      it hears a command that begins so
//	message     it hears a message up to its end mark
//	octets N    it hears so many octets
//	lie text    it says that, whatever it is
//	drip        it says an octet every 300 ms, without end
//	endless     it says a line without end
//	wait MS     it takes its time
//	tls         it speaks TLS, with its certificate; "tls old" TLS 1.1 at most
//	hang        it does nothing any more
//	reset       it resets the connection, which else is closed at the end
type badPeer struct {
	name    string
	scripts []string
	cert    string // "", or "expired" or "named" for another host
	policy  string // of control/tlspolicy
	want    string // in the line about the delivery
}

const (
	badHello  = "220 peer\n> EHLO\n250 peer\n"
	badMail   = "> MAIL\n250 ok\n> RCPT\n250 ok\n"
	badTaken  = badMail + "> DATA\n354 go\nmessage\n250 taken\n> QUIT\n221 bye\n"
	badOffer  = "220 peer\n> EHLO\n250-peer|250 STARTTLS\n> STARTTLS\n"
	badInside = badOffer + "220 go\ntls\n> EHLO\n250 peer\n"
)

// badPeers are servers that are slow, die, lie, or whose TLS is broken, and some
// that are not, each with what the log says in the end.
func badPeers() []badPeer {
	const died = "deferral: Connected_to_IP_but_connection_died._(#4.4.2)/"
	const unclear = "deferral: Connected_to_IP_but_connection_died._Possible_duplicate!_(#4.4.2)/"
	const either = "deferral: Connected_to_IP_but_connection_died._" // the message may have been sent by then
	const noGreeting = "deferral: Connected_to_IP_but_greeting_failed./"
	const noTLS = "deferral: Connected_to_IP_but_TLS_failed,_for_which_control/tlspolicy_("
	const wrong = "deferral: Connected_to_IP_but_its_certificate_is_not_what_control/tlspolicy_("
	const plain = "success: IP_accepted_message./Remote_host_said:_250_taken/"
	const secure = plain + "STARTTLS_proto=TLSv1.3;_cipher=TLS_AES_128_GCM_SHA256;_verify="
	return []badPeer{
		{name: "good", scripts: []string{badHello + badTaken}, want: plain},
		{name: "slow, but not too slow", scripts: []string{"wait 1000\n220 peer\n> EHLO\nwait 1000\n250 peer\n> MAIL\nwait 1000\n250 ok\n> RCPT\nwait 1000\n250 ok\n> DATA\nwait 1000\n354 go\nmessage\nwait 1000\n250 taken\n> QUIT\n221 bye\n"}, want: plain},
		{name: "silent", scripts: []string{"hang"}, want: noGreeting},
		{name: "an octet now and then", scripts: []string{"drip"}, want: noGreeting},
		{name: "silent after the message", scripts: []string{badHello + badMail + "> DATA\n354 go\nmessage\nhang"}, want: unclear},
		{name: "busy", scripts: []string{"421 busy"}, want: noGreeting + "Remote_host_said:_421_busy/"},
		{name: "no mail server at all", scripts: []string{"lie HTTP/1.1 400 Bad Request\r\n\r\n"}, want: noGreeting + "Remote_host_said:_HTTP/1.1_400_Bad_Request/"},
		{name: "dies after DATA", scripts: []string{badHello + badMail + "> DATA\n354 go\nreset"}, want: either},
		{name: "dies after the message", scripts: []string{badHello + badMail + "> DATA\n354 go\nmessage\nreset"}, want: unclear},
		{name: "ends with 421", scripts: []string{badHello + badMail + "> DATA\n354 go\nmessage\n421 no room"}, want: "deferral: IP_failed_after_I_sent_the_message./Remote_host_said:_421_no_room/"},
		{name: "takes DATA at once", scripts: []string{badHello + badMail + "> DATA\n250 thanks"}, want: died + "Remote_host_said:_250_thanks/"},
		{name: "says what is no reply", scripts: []string{badHello + "> MAIL\nlie what?\r\n"}, want: died + "Remote_host_said:_what?/"},
		{name: "answers before it is asked", scripts: []string{"220 peer\n> EHLO\n250 peer|250 ok|250 ok|354 go|250 taken\nhang"}, want: died},
		{name: "talks without end", scripts: []string{"220 peer\n> EHLO\nendless"}, want: died + "Remote_host_said:_250-x"},
		{name: "nobody lives there", scripts: []string{badHello + "> MAIL\n250 ok\n> RCPT\n550 5.1.1 who\n> QUIT\n221 bye\n"}, want: "failure: IP_does_not_like_recipient./Remote_host_said:_550_5.1.1_who/Giving_up_on_IP./"},
		{name: "greylisted", scripts: []string{badHello + "> MAIL\n250 ok\n> RCPT\n450 4.7.1 later\n> QUIT\n221 bye\n"}, want: "deferral: IP_does_not_like_recipient./Remote_host_said:_450_4.7.1_later/"},
		{name: "not wanted", scripts: []string{badHello + badMail + "> DATA\n354 go\nmessage\n554 5.7.1 spam\n> QUIT\n221 bye\n"}, want: "failure: IP_failed_after_I_sent_the_message./Remote_host_said:_554_5.7.1_spam/"},
		{name: "too large", scripts: []string{"220 peer\n> EHLO\n250-peer|250 SIZE 10\n> QUIT\n221 bye\n"}, want: "failure: IP_takes_messages_of_at_most_10_bytes;"},
		{name: "chunks", scripts: []string{"220 peer\n> EHLO\n250-peer|250 CHUNKING\n" + badMail + "> BDAT\noctets BDAT\n250 taken\n> QUIT\n221 bye\n"}, want: plain},
		{name: "chunks that it does not know", scripts: []string{"220 peer\n> EHLO\n250-peer|250 CHUNKING\n" + badMail + "> BDAT\n502 what", badHello + badTaken}, want: plain},

		{name: "TLS", scripts: []string{badInside + badTaken}, want: secure + "none;/"},
		{name: "TLS that is verified", policy: "verify", scripts: []string{badInside + badTaken}, want: secure + "name;/"},
		{name: "TLS of another name", policy: "verify", cert: "named", scripts: []string{badInside}, want: wrong},
		{name: "TLS that is too old", policy: "verify", cert: "expired", scripts: []string{badInside}, want: wrong},
		{name: "and nobody asks", cert: "expired", scripts: []string{badInside + badTaken}, want: secure + "none;/"},
		{name: "no handshake: plain text", scripts: []string{badOffer + "220 go\nlie nonsense\r\n", badHello + badTaken}, want: plain},
		{name: "no handshake, and TLS is asked for", policy: "encrypt", scripts: []string{badOffer + "220 go\nlie nonsense\r\n"}, want: noTLS},
		{name: "TLS 1.1: plain text", scripts: []string{badOffer + "220 go\ntls old", badHello + badTaken}, want: plain},
		{name: "TLS 1.1, and TLS is asked for", policy: "encrypt", scripts: []string{badOffer + "220 go\ntls old"}, want: noTLS},
		{name: "silent in the handshake", policy: "encrypt", scripts: []string{badOffer + "220 go\nhang"}, want: noTLS},
		{name: "words in front of the handshake", policy: "encrypt", scripts: []string{badOffer + "220 go|250 evil\nhang"}, want: noTLS},
		{name: "TLS is taken away", policy: "encrypt", scripts: []string{badHello + "> QUIT\n221 bye\n"}, want: "deferral: Connected_to_IP_but_it_offers_no_TLS,_for_which_control/tlspolicy_("},
		{name: "dies inside TLS", scripts: []string{badInside + badMail + "> DATA\n354 go\nmessage\nreset"}, want: unclear},
	}
}

// TestBadPeers sends a message to each of them at the same time, by the daemons as
// they run; each ends as the log says, and takes no mail of another with it.
func TestBadPeers(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	h := mailHost(t, net, "mx1.example", "alice")
	far := net.Host("far.example")
	net.Zone().Add("peer.example. 60 A " + far.IP.String()) // one address: each has one connection, and says what comes of it
	peers := badPeers()
	certs, trusted := badCertificates(t)
	h.WriteFile(trustedFile, trusted, 0o644)
	h.Control("timeoutremote", "3")
	h.Control("concurrencyremote", "100")
	var routes, policies []string
	for i, p := range peers {
		domain := fmt.Sprintf("d%d.example", i)
		routes = append(routes, fmt.Sprintf("%s:peer.example:%d", domain, 3000+i))
		if p.policy != "" {
			policies = append(policies, domain+":"+p.policy)
		}
		go p.serve(far.Listen("tcp", fmt.Sprintf(":%d", 3000+i)), certs[p.cert])
	}
	h.Control("smtproutes", routes...)
	h.Control("tlspolicy", policies...)
	h.StartSuite()
	for i := range peers {
		sendmail(h, "alice", []string{fmt.Sprintf("bob@d%d.example", i)}, letter("bob", "x"))
	}
	for i, p := range peers {
		number := h.WaitForLog(0, fmt.Sprintf(`^starting delivery (\d+): msg \d+ to remote bob@d%d\.example$`, i))[1]
		got := h.WaitForLog(0, `^delivery `+number+`: (.*)$`)[1]
		if want := strings.ReplaceAll(p.want, "IP", far.IP.String()); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %.500s\nwant %s", p.name, got, want)
		}
	}
	for _, p := range h.Find("qmail-remote") {
		if kB := h.Memory(p.PID) >> 10; kB > 40<<10 {
			t.Errorf("a worker has %d KiB", kB)
		}
	}
	h.StopSuite()
}

// badCertificates are those of the peers, and the file of who vouches for them.
func badCertificates(t *testing.T) (certs map[string]tls.Certificate, trusted string) {
	t.Helper()
	certs = make(map[string]tls.Certificate)
	for kind, name := range map[string]string{"": "peer.example", "named": "near.example", "expired": "peer.example"} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
			NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(time.Hour),
		}
		if kind == "expired" {
			template.NotAfter = time.Now().Add(-time.Hour)
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		certs[kind] = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
		trusted += string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	return certs, trusted
}

// serve lets connections go as the scripts say; the last one counts for all that
// follow.
func (p badPeer) serve(l net.Listener, cert tls.Certificate) {
	for i := 0; ; i++ {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		script := p.scripts[min(i, len(p.scripts)-1)]
		go func() {
			defer conn.Close()
			_ = followBadly(conn, script, cert) // the log of the client tells
		}()
	}
}

func followBadly(conn net.Conn, script string, cert tls.Certificate) error {
	raw, in, heard := conn, bufio.NewReader(conn), ""
	for _, step := range strings.Split(strings.TrimSuffix(script, "\n"), "\n") {
		verb, rest, _ := strings.Cut(step, " ")
		var err error
		switch verb {
		case ">":
			if heard, err = in.ReadString('\n'); err == nil && !strings.HasPrefix(heard, rest) {
				err = errors.New("another command")
			}
		case "message":
			for line := ""; err == nil && line != ".\r\n"; {
				line, err = in.ReadString('\n')
			}
		case "octets": // as many as the command said
			var n int
			if n, err = strconv.Atoi(strings.Fields(heard)[1]); err == nil {
				_, err = io.CopyN(io.Discard, in, int64(n))
			}
		case "lie":
			_, err = io.WriteString(conn, rest)
		case "drip":
			for err == nil {
				_, err = io.WriteString(conn, "2")
				time.Sleep(300 * time.Millisecond)
			}
		case "endless":
			for err == nil {
				_, err = io.WriteString(conn, "250-"+strings.Repeat("x", 1000))
			}
		case "wait":
			ms, _ := strconv.Atoi(rest)
			time.Sleep(time.Duration(ms) * time.Millisecond)
		case "tls":
			config := &tls.Config{Certificates: []tls.Certificate{cert}}
			if rest == "old" {
				config.MinVersion, config.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
			}
			secured := tls.Server(conn, config)
			err = secured.Handshake()
			conn, in = secured, bufio.NewReader(secured)
		case "hang":
			_, err = io.Copy(io.Discard, in)
		case "reset":
			return raw.(*net.TCPConn).SetLinger(0)
		default:
			_, err = io.WriteString(conn, strings.ReplaceAll(step, "|", "\r\n")+"\r\n")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// TestARoutingLoopEnds has two hosts that each take the other one for who knows:
// the message is refused when it has passed by too often, and the sender hears of
// it once.
func TestARoutingLoopEnds(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	a := mailHost(t, net, "mx1.example", "alice")
	b := mailHost(t, net, "mx2.example", "carol")
	for h, other := range map[*testhost.Host]string{a: "mx2.example", b: "mx1.example"} {
		h.Control("rcpthosts", "mx1.example", "mx2.example", "lost.example")
		h.Control("smtproutes", "lost.example:"+other)
	}
	a.StartSuite()
	b.StartSuite()
	sendmail(a, "alice", []string{"bob@lost.example"}, letter("bob", "round"))
	bounce := a.Maildir("alice").Wait(testhost.Within(t, soon), 1)[0]
	if !strings.Contains(bounce.Text, "554") || !strings.Contains(bounce.Text, "5.4.6") {
		t.Errorf("got %s", bounce.Text)
	}
	waitEmpty(t, a)
	waitEmpty(t, b)
	a.StopSuite()
	b.StopSuite()
}
