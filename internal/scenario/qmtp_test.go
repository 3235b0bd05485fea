package scenario

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"

	"postrider/internal/netstring"
	"postrider/internal/testhost"
)

// serveQMTP makes the host serve QMTP and QMQP at their ports.
func serveQMTP(h *testhost.Host) {
	h.Control("qmtplisten", ":209")
	h.Control("qmqplisten", ":628")
}

// startQMTP starts the suite of such a host.
func startQMTP(h *testhost.Host) {
	serveQMTP(h)
	h.StartSuite()
	h.WaitForLog(0, `^qmail-start: listening on 0\.0\.0\.0:628$`) // the last of them
}

// qmtpMail is a message of QMTP.
func qmtpMail(text, sender string, recipients ...string) string {
	var all []byte
	for _, r := range recipients {
		all = netstring.Append(all, r)
	}
	return string(netstring.Append(netstring.Append(netstring.Append(nil, "\n"+text), sender), string(all)))
}

// qmtpDial connects to the port of QMTP or QMQP of a host.
func qmtpDial(t *testing.T, from, to *testhost.Host, port string) net.Conn {
	t.Helper()
	ctx := testhost.Within(t, soon)
	c, err := from.Dial(ctx, "tcp", to.IP.String()+":"+port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	deadline, _ := ctx.Deadline()
	if err := c.SetDeadline(deadline); err != nil {
		t.Fatal(err)
	}
	return c
}

// qmtpAnswer reads an answer.
func qmtpAnswer(in *bufio.Reader) (string, error) {
	s, err := netstring.Open(in, 1000)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(s)
	if err == nil {
		err = s.Close()
	}
	return string(b), err
}

var queued = regexp.MustCompile(`^Kok \d{10} qp (\d{20})$`)

// Mail comes in by QMTP, many messages at once; what may not be relayed is
// refused.
func TestQMTP(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	from := net.Host("client.example")
	h := mailHost(t, net, "mx1.example", "alice")
	startQMTP(h)
	const messages = 50
	c := qmtpDial(t, from, h, "209")
	var text strings.Builder
	for i := range messages {
		text.WriteString(qmtpMail(letter("alice", fmt.Sprint("n", i)), "x@else.example", "alice@mx1.example", "x@remote.example"))
	}
	text.WriteString(qmtpMail(letter("alice", "long")+strings.Repeat("a line of text\n", 100000), "", "alice@mx1.example"))
	go io.WriteString(c, text.String())
	in := bufio.NewReader(c)
	for i := range messages {
		first, err := qmtpAnswer(in)
		if err != nil || !queued.MatchString(first) {
			t.Fatalf("message %d: %q, %v\n%s", i, first, err, h.Log().Timed(0))
		}
		if second, err := qmtpAnswer(in); err != nil || !strings.HasPrefix(second, "Dsorry, that domain isn't in my list of allowed rcpthosts") {
			t.Fatalf("message %d: %q, %v", i, second, err)
		}
	}
	if answer, err := qmtpAnswer(in); err != nil || !queued.MatchString(answer) {
		t.Fatalf("%q, %v", answer, err)
	}
	got := h.Maildir("alice").Wait(testhost.Within(t, soon), messages+1)
	seen := make(map[string]bool)
	for _, m := range got {
		seen[m.Header("Subject")] = true
		if !strings.Contains(m.Text, "Received: from unknown ("+from.IP.String()+")\n  by mx1.example with QMTP; ") {
			t.Errorf("got %s", m.Text)
		}
		if m.Header("Subject") == "long" && len(m.Text) < 1500000 {
			t.Errorf("the long message has %d bytes", len(m.Text))
		}
	}
	if len(seen) != messages+1 {
		t.Errorf("%d messages differ", len(seen))
	}
	// QMQP is for this host alone.
	if answer, err := qmtpAnswer(bufio.NewReader(qmtpDial(t, from, h, "628"))); err == nil {
		t.Errorf("QMQP from another host: %q", answer)
	}
	h.WaitForLog(0, `^qmail-qmqpd: denied ip=`+regexp.QuoteMeta(from.IP.String())+` rule=qmqphosts$`)
	waitEmpty(t, h)
	h.StopSuite()
}

// A host without a queue: its mail goes to the queue of another one, whichever
// program sends it, and no daemon runs.
func TestQMQP(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	client := mailHost(t, net, "client.example", "alice")
	h := mailHost(t, net, "mx1.example", "carol")
	h.Control("qmqphosts", client.IP.String())
	startQMTP(h)
	client.Control("qmqpservers", h.IP.String())
	client.Must("ln", "-sf", "qmail-qmqpc", "/var/qmail/bin/qmail-queue")
	sendmail(client, "alice", []string{"carol@mx1.example"}, letter("carol", "sendmail"))
	client.MustRun(testhost.Command{Argv: []string{"sh", "-c", `printf 'Falice@client.example\0Tcarol@mx1.example\0\0' > /tmp/envelope && exec /var/qmail/bin/qmail-queue 1</tmp/envelope`},
		User: "alice", Stdin: letter("carol", "queue")})
	client.MustRun(testhost.Command{Argv: []string{"/var/qmail/bin/qmail-inject", "carol@mx1.example"}, User: "alice",
		Env: []string{"QMAILQUEUE=bin/qmail-qmqpc"}, Stdin: letter("carol", "variable")})
	got := h.Maildir("carol").Wait(testhost.Within(t, soon), 3)
	seen := make(map[string]bool)
	for _, m := range got {
		seen[m.Header("Subject")] = true
		if m.Header("Return-Path") != "<alice@client.example>" || !strings.Contains(m.Text, "("+client.IP.String()+")\n  by mx1.example with QMQP; ") {
			t.Errorf("got %s", m.Text)
		}
	}
	if !seen["sendmail"] || !seen["queue"] || !seen["variable"] {
		t.Errorf("got %v", seen)
	}
	waitEmpty(t, h)
	h.StopSuite()
	// Nobody listens any more.
	r, err := client.Run(testhost.Within(t, soon), testhost.Command{Argv: []string{"/usr/sbin/sendmail", "carol@mx1.example"}, User: "alice", Stdin: letter("carol", "down")})
	if err != nil || r.Code == 0 {
		t.Errorf("without a server: %v, %v", r, err)
	}
	if names := client.Queue(); len(names) != 0 {
		t.Errorf("the client has queued %v", names)
	}
}

// Both servers run on descriptors 0 and 1, as under tcpserver.
func TestQMTPUnderTcpserver(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice")
	h.StartSuite()
	run := func(program, input string, env ...string) testhost.Result {
		t.Helper()
		r, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: []string{"/var/qmail/bin/" + program}, User: "qmaild", Stdin: input,
			Env: append([]string{"TCPREMOTEIP=192.0.2.1", "TCPREMOTEHOST=h.example", "TCPLOCALHOST=mx1.example"}, env...)})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	answers := func(r testhost.Result) (all []string) {
		in := bufio.NewReader(strings.NewReader(r.Stdout))
		for {
			a, err := qmtpAnswer(in)
			if err != nil {
				return all
			}
			all = append(all, a)
		}
	}
	mail := qmtpMail(letter("alice", "classic"), "x@else.example", "alice@mx1.example", "x@remote.example")
	if r := run("qmail-qmtpd", mail+mail); r.Code != 0 || len(answers(r)) != 4 || !queued.MatchString(answers(r)[2]) || answers(r)[3][0] != 'D' {
		t.Errorf("qmail-qmtpd: %v", r)
	}
	if r := run("qmail-qmtpd", mail, "RELAYCLIENT="); r.Code != 0 || len(answers(r)) != 2 || answers(r)[1][0] != 'K' {
		t.Errorf("qmail-qmtpd with RELAYCLIENT: %v", r)
	}
	if r := run("qmail-qmtpd", mail+"EHLO x\r\n"); r.Code != 100 || len(answers(r)) != 2 {
		t.Errorf("qmail-qmtpd with SMTP: %v", r)
	}
	if r := run("qmail-qmtpd", mail+"9999999999:"); r.Code != 111 || len(answers(r)) != 2 {
		t.Errorf("qmail-qmtpd with a huge length: %v", r)
	}
	if r := run("qmail-qmtpd", mail+mail[:30]); r.Code != 0 || len(answers(r)) != 2 {
		t.Errorf("qmail-qmtpd with a cut message: %v", r)
	}
	request := string(netstring.Append(nil, string(netstring.Append(netstring.Append(netstring.Append(nil, letter("alice", "qmqp")), "x@else.example"), "alice@mx1.example"))))
	if r := run("qmail-qmqpd", request); r.Code != 0 || len(answers(r)) != 1 || !queued.MatchString(answers(r)[0]) {
		t.Errorf("qmail-qmqpd: %v", r)
	}
	if r := run("qmail-qmqpd", mail); r.Code != 100 || r.Stdout != "" {
		t.Errorf("qmail-qmqpd with QMTP: %v", r)
	}
	got := h.Maildir("alice").Wait(testhost.Within(t, soon), 7)
	for _, m := range got {
		if !strings.Contains(m.Text, "Received: from h.example (192.0.2.1)\n  by mx1.example with QM") {
			t.Errorf("got %s", m.Text)
		}
	}
	h.StopSuite()
}
