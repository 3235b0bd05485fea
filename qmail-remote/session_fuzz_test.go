package qmailremote

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"
)

// spokenTo is a connection to a server whose words are all known in advance;
// what it is told is kept.
type spokenTo struct {
	words *bytes.Reader
	told  bytes.Buffer
}

func (s *spokenTo) Read(p []byte) (int, error)       { return s.words.Read(p[:1]) } // a byte at a time: replies arrive when asked for
func (s *spokenTo) Write(p []byte) (int, error)      { return s.told.Write(p) }
func (s *spokenTo) Close() error                     { return nil }
func (s *spokenTo) LocalAddr() net.Addr              { return nil }
func (s *spokenTo) RemoteAddr() net.Addr             { return nil }
func (s *spokenTo) SetDeadline(time.Time) error      { return nil }
func (s *spokenTo) SetReadDeadline(time.Time) error  { return nil }
func (s *spokenTo) SetWriteDeadline(time.Time) error { return nil }

var (
	startsLine = regexp.MustCompile(`(?m)^3`)
	ends2xx    = regexp.MustCompile(`(?m)^2`)
)

// FuzzServer lets a server say anything. Whatever it says: each recipient has
// one outcome, success only after a 3xx and a 2xx, and there is at most one end
// mark on the wire.
func FuzzServer(f *testing.F) {
	for _, s := range []string{
		"220 a\n250 b\n250 c\n250 d\n250 e\n354 f\n250 g\n",
		"220 a\n250-b\n250-SIZE 5\n250 PIPELINING\n250 c\n550 d\n452 e\n354 f\n250 g\n250 h\n250 i\n354 j\n250 k\n",
		"220 a\n500 b\n250 b\n250 c\n250 d\n452 e\n354 f\n250 g\n250 h\n250 i\n354 j\n554 k\n",
		"220 a\n250 b\n250 c\n250 d\n250 e\n300 f\n200 g\n", "421 a\n", "220 a\n250 b\n250 c\n421 d\n", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, words string) {
		told, success := hearServer(t, words, settings{}, "..\r.\r\n.")
		if success && !startsLine.MatchString(words) {
			t.Fatalf("success after %q", words)
		}
		if marks, data := strings.Count(told, "\r\n.\r\n"), strings.Count(told, "DATA\r\n"); marks > data {
			t.Fatalf("told %q", told)
		}
	})
}

// FuzzChunkingServer is FuzzServer for messages that go as a chunk: of that there
// are as many octets as were announced.
func FuzzChunkingServer(f *testing.F) {
	for _, s := range []string{
		"220 a\n250-b\n250 CHUNKING\n250 c\n250 d\n250 e\n250 f\n",
		"220 a\n250-b\n250-PIPELINING\n250 CHUNKING\n250 c\n550 d\n452 e\n250 f\n",
		"220 a\n250-b\n250 CHUNKING\n250 c\n250 d\n452 e\n250 f\n250 c\n250 e\n554 f\n",
		"220 a\n250-b\n250 CHUNKING\n250 c\n250 d\n250 e\n502 f\n",
		"220 a\n250-b\n250-LIMITS RCPTMAX=1\n250 CHUNKING\n250 c\n250 d\n500 f\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, words string) {
		const command, text = "BDAT 7 LAST\r\n", "..\r\n.\r\n"
		told, _ := hearServer(t, words, settings{chunking: true}, "..\n.")
		for _, behind := range strings.Split(told, command)[1:] {
			next, whole := strings.CutPrefix(behind, text)
			if !whole || next != "" && !startsCommand.MatchString(next) {
				t.Fatalf("told %q", told)
			}
		}
	})
}

var startsCommand = regexp.MustCompile(`^(RSET|MAIL|QUIT|EHLO|HELO)\b`)

// FuzzLMTPServer is FuzzServer for LMTP, with a login.
func FuzzLMTPServer(f *testing.F) {
	for _, s := range []string{
		"220 a\n250 b\n250 c\n250 d\n250 e\n354 f\n250 g\n250 h\n",
		"220 a\n250-b\n250 AUTH PLAIN\n235 c\n250 c\n250 d\n250 e\n354 f\n452 g\n250 h\n",
		"220 a\n250-b\n250 AUTH CRAM-MD5\n334 MTIzNA==\n235 c\n250 c\n250 d\n550 e\n354 f\n421 g\n",
		"220 a\n250-b\n250-LIMITS RCPTMAX=1\n250 AUTH PLAIN\n235 c\n250 c\n250 d\n354 f\n250 g\n250 c\n250 d\n354 f\n250 g\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, words string) {
		_, success := hearServer(t, words, settings{tables: routeTables{lmtp: map[string]string{"d": "127.0.0.1|joe|secret"}}}, "..\r.\r\n.")
		if success && !startsLine.MatchString(words) {
			t.Fatalf("success after %q", words)
		}
	})
}

// hearServer delivers a text to a server that says words, and returns what that was
// told.
func hearServer(t *testing.T, words string, set settings, text string) (told string, success bool) {
	t.Helper()
	conn := &spokenTo{words: bytes.NewReader([]byte(words))}
	set.helo, set.connectTimeout, set.remoteTimeout, set.dns = "me", time.Second, time.Second, oneHost{netip.MustParseAddr("192.0.2.1")}
	now := newManualClock()
	c := &client{
		clock:    now,
		settings: func() (*settings, error) { return &set, nil },
		own:      &ownAddresses{clock: now, list: func() ([]netip.Addr, error) { return nil, nil }},
		dial:     func(context.Context, netip.Addr, netip.AddrPort) (net.Conn, error) { return conn, nil },
		down:     newDownHosts(now, nil),
		pool:     newPool(now, 0),
	}
	m := mail{sender: addr(t, "s@x"), recipients: recipients(t, "a@d", "b@d"), body: message(t, text)}
	o, err := c.deliver(context.Background(), "d", m)
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.recipients {
		switch r := o.forRecipient(i); r.class {
		case accepted:
			success = true
		case deferred, failed:
		default:
			t.Fatalf("class %q", r.class)
		}
	}
	if success && !ends2xx.MatchString(words) {
		t.Fatalf("success after %q", words)
	}
	told = conn.told.String()
	if strings.Count(told, "\n") != strings.Count(told, "\r\n") || strings.Count(told, "\r") != strings.Count(told, "\r\n") {
		t.Fatalf("told %q", told)
	}
	return told, success
}

func FuzzExtensions(f *testing.F) {
	for _, s := range []string{"250-a\n250-SIZE 100\n250 PIPELINING\n", "250 x\n", "250-\n250-size -1\n250 8bitmime x\n", "\n\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if ext := parseExtensions(text); ext.maxSize < 0 || ext.maxSize > 0 && !ext.size {
			t.Fatalf("%+v", ext)
		}
	})
}
