package scenario

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postrider/internal/testhost"
)

// smuggled is what would be a second message, were the mark before it an end.
const smuggled = "MAIL FROM:<evil@client.example>\r\nRCPT TO:<evil@sink.example>\r\nDATA\r\nevil\r\n"

// A marked is one message with a mark in it that is no end mark.
type marked struct {
	mark  string
	split int    // the mark comes in two pieces, cut here
	entry string // the host that takes it
	way   string // DATA, BDAT or qmail-queue
}

func (m marked) subject() string {
	return fmt.Sprintf("%s at %s, %q cut at %d", m.way, m.entry, m.mark, m.split)
}

// pieces are the message, cut in the mark.
func (m marked) pieces() (first, second string) {
	return "Subject: " + m.subject() + "\r\n\r\ntext" + m.mark[:m.split], m.mark[m.split:] + smuggled
}

// refused reports whether the way takes no such message: DATA has no line end
// but CR LF (R30).
func (m marked) refused() bool {
	return m.way == "DATA" && strings.ContainsAny(strings.ReplaceAll(m.mark, "\r\n", ""), "\r\n")
}

// marks are the marks that somebody has taken for the end of a message, and
// others like them: 63, without the one that is one.
func marks() (all []string) {
	ends := []string{"\r\n", "\n", "\r", "\r\r\n", "\n\r", "\r\n\x00", "\x00\r\n", "\n\n"}
	for _, before := range ends {
		for _, after := range ends {
			if mark := before + "." + after; !strings.Contains(mark, "\r\n.\r\n") {
				all = append(all, mark)
			}
		}
	}
	return all
}

// TestNothingIsSmuggledThroughTwoRelays sends what might be two messages to
// one host of ours, which passes it on to another one, by BDAT or by DATA, and
// that to a host that keeps every octet: each is one message there, or refused
// at the door. The mark comes in one piece and in two, cut everywhere, of which
// the server has read the first when the second is sent.
func TestNothingIsSmuggledThroughTwoRelays(t *testing.T) {
	t.Parallel()
	network := testhost.NewNetwork(t)
	client := network.Host("client.example")
	entries := map[string]*testhost.Host{}
	for name, next := range map[string]string{"chunks.example": ":second.example", "dots.example": ":second.example", "second.example": ":sink.example"} {
		h := mailHost(t, network, name, "joe")
		h.Control("tcp.smtp", `:allow,RELAYCLIENT=""`)
		h.Control("smtproutes", next)
		entries[name] = h
	}
	entries["dots.example"].Control("remotechunking", "0")
	sink := newOctetSink(network.Host("sink.example").Listen("tcp", ":25"))
	for _, h := range entries {
		h.StartSuite()
	}

	messages := markedMessages(t)
	var taken, local []marked
	for _, m := range messages {
		if m.way == "qmail-queue" {
			local = append(local, m)
			continue
		}
		err := m.send(t, client, entries[m.entry])
		var reply *testhost.Reply
		switch {
		case m.refused() && errors.As(err, &reply) && reply.Code == 554:
		case !m.refused() && err == nil:
			taken = append(taken, m)
		default:
			t.Fatalf("%s: %v", m.subject(), err)
		}
	}
	for name, h := range entries {
		taken = append(taken, queueAll(h, slices.DeleteFunc(slices.Clone(local), func(m marked) bool { return m.entry != name }))...)
	}
	for _, name := range []string{"chunks.example", "dots.example", "second.example"} {
		waitEmpty(t, entries[name])
	}
	t.Logf("%d messages, of which %d were taken", len(messages), len(taken))
	sink.judge(t, taken)
	for _, h := range entries {
		h.StopSuite()
	}
}

// markedMessages has every mark in every way, at one of the entries and cut at
// one place; in the long form at both, and everywhere.
func markedMessages(t *testing.T) (all []marked) {
	entries := []string{"chunks.example", "dots.example"}
	cuts, times := testhost.Times(t, "places where a mark is cut", 1, 9), testhost.Times(t, "entries", 1, 2)
	for i, mark := range marks() {
		for w, way := range []string{"DATA", "BDAT", "qmail-queue"} {
			for e := range times {
				entry := entries[(i/2+w+e)%2]
				if way == "qmail-queue" {
					all = append(all, marked{mark, 0, entry, way})
					continue
				}
				for cut := range min(cuts, len(mark)+1) {
					all = append(all, marked{mark, (i + cut) % (len(mark) + 1), entry, way})
				}
			}
		}
	}
	return all
}

// queueAll hands messages to qmail-queue of a host, and returns them.
func queueAll(h *testhost.Host, messages []marked) []marked {
	h.WriteFile("/tmp/envelope", "Fjoe@client.example\x00Tx@sink.example\x00\x00", 0o644)
	for i, m := range messages {
		first, second := m.pieces()
		h.WriteFile(fmt.Sprintf("/tmp/%d.marked", i), first+second, 0o644)
	}
	h.MustRun(testhost.Command{Argv: []string{"sh", "-ec",
		"cd /tmp; for m in *.marked; do [ ! -e $m ] || /var/qmail/bin/qmail-queue <$m 1<envelope; done"}, User: "joe"})
	return messages
}

// send hands the message over by SMTP. A *testhost.Reply is the word of the server.
func (m marked) send(t *testing.T, client, to *testhost.Host) error {
	first, second := m.pieces()
	c, err := client.SMTP(testhost.Within(t, soon), to.IP.String()+":25")
	if err != nil {
		return err
	}
	defer c.Close()
	for _, line := range []string{"MAIL FROM:<joe@client.example>", "RCPT TO:<x@sink.example>"} {
		if err := c.Command(line, 2); err != nil {
			return err
		}
	}
	if m.way == "DATA" {
		if err := c.Command("DATA", 3); err != nil {
			return err
		}
		second += ".\r\n"
	} else {
		first = fmt.Sprintf("BDAT %d LAST\r\n", len(first)+len(second)) + first
	}
	if _, err := c.Conn().Write([]byte(first)); err != nil {
		return err
	}
	if err := untilRead(t.Context(), to); err != nil {
		return err
	}
	if _, err := c.Conn().Write([]byte(second)); err != nil {
		return err
	}
	return errors.Join(c.Expect(2), c.Quit())
}

// untilRead waits until the server of a host has read all that has come.
func untilRead(ctx context.Context, h *testhost.Host) error {
	tables, err := filepath.Glob(h.Path("/proc/[1-9]*/net/tcp"))
	if err != nil || len(tables) == 0 {
		return fmt.Errorf("no table of connections on %s: %v", h.Name, err)
	}
	for {
		text, err := os.ReadFile(tables[0])
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(strings.Split(string(text), "\n"), hasUnread) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Microsecond):
		}
	}
}

// hasUnread reports whether a line of /proc/net/tcp is about a connection to
// port 25 with octets that nobody has read.
func hasUnread(line string) bool {
	f := strings.Fields(line)
	return len(f) > 4 && strings.HasSuffix(f[1], ":0019") && f[3] == "01" && !strings.HasSuffix(f[4], ":00000000")
}

// octetSink takes mail by DATA, and keeps what is sent as it is.
type octetSink struct {
	mu      sync.Mutex
	arrived map[string][]string // the texts of a sender and his recipients
	faults  []string
}

func newOctetSink(l net.Listener) *octetSink {
	s := &octetSink{arrived: map[string][]string{}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // the test has ended
			}
			go s.serve(c)
		}
	}()
	return s
}

func (s *octetSink) serve(c net.Conn) {
	defer c.Close()
	say := func(line string) { fmt.Fprintf(c, "%s\r\n", line) } // a client that is gone is seen when it is read from
	r := bufio.NewReader(c)
	say("220 sink")
	envelope := ""
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		verb, _, _ := strings.Cut(strings.TrimSuffix(line, "\r\n"), " ")
		switch verb {
		case "MAIL", "RCPT":
			envelope += line
			say("250 ok")
		case "DATA":
			say("354 go ahead")
			text, err := readMarked(r)
			if err != nil {
				return
			}
			s.keep(envelope, text)
			envelope = ""
			say("250 ok")
		case "EHLO", "HELO", "RSET", "QUIT":
			envelope = ""
			say("250 ok")
		default:
			s.mu.Lock()
			s.faults = append(s.faults, fmt.Sprintf("the command %q", line))
			s.mu.Unlock()
			say("500 what?")
		}
	}
}

// readMarked reads up to the one end mark that there is.
func readMarked(r *bufio.Reader) (string, error) {
	text := []byte("\r\n")
	for !bytes.HasSuffix(text, []byte("\r\n.\r\n")) {
		b, err := r.ReadByte()
		if err != nil {
			return "", err
		}
		text = append(text, b)
	}
	return string(text[2 : len(text)-3]), nil
}

func (s *octetSink) keep(envelope, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arrived[envelope] = append(s.arrived[envelope], text)
}

// judge holds what has arrived against what was taken: each message once, with
// its envelope, its text in lines that end in CR LF, and nothing besides.
func (s *octetSink) judge(t *testing.T, taken []marked) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, fault := range s.faults {
		t.Error(fault)
	}
	const envelope = "MAIL FROM:<joe@client.example>\r\nRCPT TO:<x@sink.example>\r\n"
	for other, texts := range s.arrived {
		if other != envelope {
			t.Errorf("%q came with %q", other, texts)
		}
	}
	bodies := map[string][]string{}
	for _, text := range s.arrived[envelope] {
		head, body, _ := strings.Cut(text, "\r\n\r\n")
		_, subject, _ := strings.Cut(head, "\r\nSubject: ")
		bodies[subject] = append(bodies[subject], body)
	}
	for _, m := range taken {
		lines := strings.NewReplacer("\r\n", "\r\n", "\r", "\r\n", "\n", "\r\n").Replace("text" + m.mark + smuggled)
		if m.way == "DATA" {
			lines = strings.ReplaceAll(lines, "\r\n.", "\r\n") // it was not doubled
		}
		want := strings.ReplaceAll(lines, "\r\n.", "\r\n..")
		if got := bodies[m.subject()]; !slices.Equal(got, []string{want}) {
			t.Errorf("%s: arrived as %q, want %q", m.subject(), got, want)
		}
		delete(bodies, m.subject())
	}
	for subject, texts := range bodies {
		t.Errorf("%q came, as %q", subject, texts)
	}
}
