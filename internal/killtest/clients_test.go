package killtest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"postrider/internal/ledger"
	"postrider/internal/milterwire/miltertest"
	"postrider/internal/netstring"
	"postrider/internal/testhost"
)

// scan is a filter as people write them: it keeps the message while it looks at
// it.
const scan = `#!/bin/sh
text=$(mktemp) || exit 71
trap 'rm -f "$text"' EXIT
{ echo "X-Scanned: by a filter" && cat; } > "$text" || exit 53
/var/qmail/bin/qmail-queue < "$text"
`

// check is a checkpassword program that knows one user.
const check = `#!/bin/sh
test "$(tr '\0' '\n' <&3 | head -n 2)" = "load
` + password + `" && exec "$@"
exit 1
`

// site is what clients send to, and from where.
type site struct {
	*testhost.Host
	sink *testhost.Sink
	// relay has what operators send another way.
	relay *testhost.Sink
	// scanned is a host whose mail passes a program, unknown one whose mail
	// passes a milter, and is greylisted.
	scanned, unknown *testhost.Host
}

// giveServices makes every daemon of the suite run, and have work.
func (s *site) giveServices() {
	s.Control("qmtplisten", ":209")
	s.Control("qmqplisten", ":628")
	s.Control("qmqphosts", s.IP.String())
	s.Control("greylist", "1")
	s.Control("milters", "inet:127.0.0.1:8893 timeout=20")
	s.Control("timeoutfilter", "30")
	s.Control("mtasts", "1")
	s.Control("tlsremember", "30")
	s.Control("tlsrpt", "tls@"+here)
	own := `:allow,GREYLIST="0",NOMILTERS=""`
	s.Control("tcp.smtp", s.IP.String()+own, "127."+own, s.scanned.IP.String()+own+`,QMAILQUEUE="bin/scan"`, ":allow")
	s.WriteFile("/var/qmail/bin/scan", scan, 0o755)
	s.WriteFile("/usr/local/bin/check", check, 0o755)
	l := s.Listen("tcp", "127.0.0.1:8893")
	noted := miltertest.Polite(map[byte][]byte{
		'E': miltertest.Packets(miltertest.Packet{Letter: 'h', Data: "X-Milter\x00was here\x00"}, miltertest.Packet{Letter: 'c'}),
	})
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go new(miltertest.Milter).Serve(c, noted) // what it was told goes with it
		}
	}()
}

// checkPasswordsBy chooses who checks passwords: qmail-checkpass with a program,
// or qmail-auth. The suite does not run.
func (s *site) checkPasswordsBy(program bool) {
	if program {
		s.Control("checkpassword", "/usr/local/bin/check /bin/true")
		return
	}
	s.Must("rm", "-f", "/var/qmail/control/checkpassword")
}

// startServices are the clients of daemons that not every host has.
func (l *load) startServices() {
	l.senders.Go(func() { l.run("qmtp", l.byQMTP) })
	l.senders.Go(func() { l.run("qmqp", l.byQMQP) })
	l.senders.Go(func() { l.run("scanned", l.byFilter) })
	l.senders.Go(l.stranger)
}

func (l *load) byFilter(ctx context.Context, in ledger.Intent, text string) {
	if !l.trySMTPFrom(ctx, l.host.scanned, in, text, plainly) {
		pause(l.ctx, 10*time.Millisecond)
	}
}

// stranger sends from where nobody is known: what is put off it sends again,
// under a name of its own, after the delay. Its mail passes a milter.
func (l *load) stranger() {
	r := rand.New(rand.NewPCG(l.seed, uint64(l.numbers.Add(1))))
	for l.ctx.Err() == nil {
		to := []string{recipient(r)}
		for taken := false; !taken && l.ctx.Err() == nil; {
			l.one("stranger", func(ctx context.Context, in ledger.Intent, text string) {
				taken = l.trySMTPFrom(ctx, l.host.unknown, in, text, plainly)
			}, to, r)
			if !taken {
				pause(l.ctx, 1100*time.Millisecond)
			}
		}
		for l.queued.Load() > enough && l.ctx.Err() == nil {
			pause(l.ctx, 20*time.Millisecond)
		}
	}
}

// byQMTP and byQMQP send a message with all its recipients; they may be refused
// one by one.
func (l *load) byQMTP(ctx context.Context, in ledger.Intent, text string) {
	b := netstring.Append(nil, "\n"+text)
	b = netstring.Append(b, in.Sender)
	b = netstring.Append(b, addresses(in.Recipients))
	l.byNetstrings(ctx, in, ":209", string(b), len(in.Recipients))
}

func (l *load) byQMQP(ctx context.Context, in ledger.Intent, text string) {
	b := netstring.Append(nil, text)
	b = netstring.Append(b, in.Sender)
	l.byNetstrings(ctx, in, ":628", string(netstring.Append(nil, string(b)+addresses(in.Recipients))), 1)
}

func addresses(list []string) string {
	var b []byte
	for _, a := range list {
		b = netstring.Append(b, a)
	}
	return string(b)
}

// byNetstrings sends a message and reads as many answers as it gets.
func (l *load) byNetstrings(ctx context.Context, in ledger.Intent, port, request string, answers int) {
	c, err := l.host.Dial(ctx, "tcp", l.host.IP.String()+port)
	if err != nil {
		l.book.Nack(in.ID, 0) // not a byte was sent
		pause(l.ctx, 10*time.Millisecond)
		return
	}
	defer c.Close()
	said, err := converse(ctx, c, request, answers)
	switch {
	case err != nil:
		l.book.Unknown(in.ID)
	case said == strings.Repeat("K", answers):
		l.ack(in.ID, len(in.Recipients))
		return
	case said == strings.Repeat("Z", answers):
		l.book.Nack(in.ID, 451)
	default:
		l.t.Errorf("%s got the answers %q", in.ID, said)
	}
	pause(l.ctx, 10*time.Millisecond)
}

// converse returns the first letters of the answers.
func converse(ctx context.Context, c net.Conn, request string, answers int) (said string, err error) {
	if deadline, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(deadline); err != nil {
			return "", err
		}
	}
	go func() { _, _ = io.WriteString(c, request) }() // an error shows in the answers
	in := bufio.NewReader(c)
	for range answers {
		s, err := netstring.Open(in, 1000)
		if err != nil {
			return said, err
		}
		answer, err := io.ReadAll(s)
		if err == nil {
			err = s.Close()
		}
		if err == nil && len(answer) == 0 {
			err = errors.New("an empty answer")
		}
		if err != nil {
			return said, err
		}
		said += string(answer[:1])
	}
	return said, nil
}
