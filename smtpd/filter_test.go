package smtpd

import (
	"bufio"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/wire/filter"
	"postrider/internal/wire/parent"
	"postrider/internal/wire/submit"
)

// filtered is a message that a fake qmail-filter was given.
type filtered struct {
	variables []string
	message   queuedMessage
}

// fakeFilter answers every message.
type fakeFilter struct {
	t      *testing.T
	answer func(filtered) []byte // nothing: hang up
	taken  chan filtered
}

func newFakeFilter(t *testing.T, h *host, answer func(filtered) []byte) *fakeFilter {
	t.Helper()
	f := &fakeFilter{t: t, answer: answer, taken: make(chan filtered, 16)}
	h.send(parent.Frame{Kind: parent.Link, Name: parent.Filter, File: f.link()})
	awaitFilter(t, h)
	return f
}

func (f *fakeFilter) link() *os.File {
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		f.t.Fatal(err)
	}
	channel, err := fdpass.NewPackets(theirs)
	if err != nil {
		f.t.Fatal(err)
	}
	go func() {
		defer channel.Close()
		for {
			c, err := submit.ReceiveConnection(channel)
			if err != nil {
				return
			}
			go f.serve(c)
		}
	}()
	return ours
}

func (f *fakeFilter) serve(c *os.File) {
	defer c.Close()
	kind, n, err := submit.ReadHeader(c)
	block := make([]byte, n)
	if err == nil {
		_, err = io.ReadFull(c, block)
	}
	if err != nil || kind != filter.Variables {
		f.t.Errorf("begins with %q, %v", kind, err)
		return
	}
	variables, _, err := filter.ParseVariables(block)
	if err != nil {
		f.t.Errorf("variables %q: %v", block, err)
		return
	}
	m, err := newFakeSpool(f.t).receive(bufio.NewReader(c))
	if err != nil {
		return // the client gave it up
	}
	got := filtered{variables, m}
	f.taken <- got
	_, _ = c.Write(f.answer(got)) // qmail-smtpd may be gone
}

const filteredRule = `127.:allow,QMAILQUEUE="bin/scan",RELAYCLIENT="",TCPREMOTEHOST="client.example.net"` + "\n"

func accepts(filtered) []byte {
	return submit.AppendAnswer(nil, submit.Answer{Kind: submit.Accepted, ID: "4711"})
}

func TestFilter(t *testing.T) {
	t.Parallel()
	h := startHost(t, map[string]string{"tcp.smtp": filteredRule})
	f := newFakeFilter(t, h, accepts)
	for name, body := range map[string]string{"short": "Subject: x\r\n\r\nbody\r\n", "long": "\r\n" + strings.Repeat("0123456789abcde\r\n", 100000)} {
		c := h.dial()
		c.play("S: 220 mx.example.org ESMTP\nC: EHLO other.example.net\n")
		if reply := c.reply(); strings.Contains(reply, "DSN") || strings.Contains(reply, "SMTPUTF8") {
			t.Errorf("a program takes addresses only, but %q is offered", reply)
		}
		c.play("C: MAIL FROM:<joe@example.net>\nS: 250*\nC: RCPT TO:<jim@example.com>\nS: 250*\nC: DATA\nS: 354*\n")
		c.send(body + ".\r\n")
		reply := c.reply()
		if !strings.HasPrefix(reply, "250 2.0.0 ok ") || !strings.HasSuffix(reply, " qp 4711") {
			t.Errorf("%s: %q", name, reply)
		}
		c.play(bye)
		got := <-f.taken
		received, text, _ := strings.Cut(got.message.text, "\n  by ")
		_, text, _ = strings.Cut(text, "\n")
		if text != strings.ReplaceAll(body, "\r\n", "\n") || got.message.envelope != "Fjoe@example.net\x00Tjim@example.com\x00\x00" ||
			!strings.HasPrefix(received, "Received: from client.example.net (HELO other.example.net) (127.0.0.1)") {
			t.Errorf("%s: %q, %d bytes, envelope %q", name, received, len(text), got.message.envelope)
		}
		for _, want := range []string{"PROTO=TCP", "TCPREMOTEIP=127.0.0.1", "TCPREMOTEHOST=client.example.net", "RELAYCLIENT=",
			"TCPLOCALIP=127.0.0.1", "TCPLOCALHOST=mx.example.org", "SMTPHELOHOST=other.example.net", "TCPLOCALPORT=" + h.addr[strings.LastIndexByte(h.addr, ':')+1:]} {
			if !slices.Contains(got.variables, want) {
				t.Errorf("%s: %s is not in %q", name, want, got.variables)
			}
		}
	}
	if len(h.spool.messages()) != 0 {
		t.Error("the queue got the message as well")
	}
}

func TestFilterRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		answer []byte
		want   string
		logged string
	}{
		{"for good", submit.AppendAnswer(nil, submit.Answer{Kind: submit.Permanent, ExitCode: 88, Text: "spam\n(#5.7.1)"}), "554 5.3.0 spam?(#5.7.1)", "rule=QMAILQUEUE"},
		{"by exit code", submit.AppendAnswer(nil, submit.Answer{Kind: submit.Permanent, ExitCode: 31}), "554 5.3.0 mail server permanently rejected message (#5.3.0)", "rule=QMAILQUEUE"},
		{"for now", submit.AppendAnswer(nil, submit.Answer{Kind: submit.Temporary, ExitCode: 71}), "451 4.3.0 mail server temporarily rejected message (#4.3.0)", "rule=QMAILQUEUE"},
		{"dies", nil, "451 4.3.5 the mail filter for your address is not available (#4.3.5)", "what=filter"},
		{"talks nonsense", []byte("X\x00\x00\x00\x00"), "451 4.3.5 the mail filter for your address is not available (#4.3.5)", "what=filter"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := startHost(t, map[string]string{"tcp.smtp": filteredRule})
			newFakeFilter(t, h, func(filtered) []byte { return c.answer })
			for _, size := range []int{1, 10000} {
				client := h.dial()
				client.play(transaction + "C: DATA\nS: 354*\n")
				client.send("\r\n" + strings.Repeat("0123456789abcde\r\n", size) + ".\r\n")
				client.expect(c.want)
				client.play(bye)
			}
			h.stop()
			if !strings.Contains(h.log.String(), c.logged) {
				t.Errorf("the log lacks %s:\n%s", c.logged, h.log)
			}
			if n := len(h.spool.messages()); n != 0 {
				t.Errorf("%d messages passed the filter by", n)
			}
		})
	}
}

// A filter that is not there, or that dies before the end, means: later. A new
// one takes over in the same session.
func TestFilterComesBack(t *testing.T) {
	t.Parallel()
	h := startHost(t, map[string]string{"tcp.smtp": filteredRule})
	c := h.dial()
	c.play(transaction + "C: DATA\nS: 451 4.3.5*\n")
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	h.send(parent.Frame{Kind: parent.Link, Name: parent.Filter, File: ours})
	awaitFilter(t, h)
	theirs.Close()
	c.play("C: NOOP\nS: 250*\nC: DATA\nS: 354*\nR: x\\r\\n.\\r\\n\nS: 451 4.3.5*\n")
	newFakeFilter(t, h, accepts)
	c.play("C: MAIL FROM:<joe@example.net>\nS: 250*\nC: RCPT TO:<jim@example.com>\nS: 250*\nC: DATA\nS: 354*\nR: x\\r\\n.\\r\\n\nS: 250*\n" + bye)
}

// awaitFilter waits until the daemon has a link to a filter.
func awaitFilter(t *testing.T, h *host) {
	t.Helper()
	for deadline := time.Now().Add(patience); !h.d.filters.linked(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("there is no link to the filter")
		}
	}
}
