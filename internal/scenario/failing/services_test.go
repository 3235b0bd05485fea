//go:build linux && amd64

package failing

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"testing"

	"postrider/internal/faultcall"
	"postrider/internal/netstring"
)

// servicePath are the calls of daemons that take mail or look at it.
var servicePath = append([]faultcall.Class{faultcall.Accept, faultcall.Truncate}, loginPath...)

// protocol is QMTP or QMQP.
type protocol struct {
	program, port string
	request       func(text, sender, recipient string) string
}

var protocols = []protocol{
	{"qmail-qmtpd", ":209", func(text, sender, recipient string) string {
		return netstrings("\n"+text, sender, netstrings(recipient))
	}},
	{"qmail-qmqpd", ":628", func(text, sender, recipient string) string {
		return netstrings(netstrings(text, sender, recipient))
	}},
}

func netstrings(list ...string) string {
	var b []byte
	for _, s := range list {
		b = netstring.Append(b, s)
	}
	return string(b)
}

// TestQMTPAndQMQP lets calls of the servers of QMTP and QMQP fail.
func TestQMTPAndQMQP(t *testing.T) {
	r := newRig(t, "alice")
	r.host.Control("concurrencylocal", "0")
	r.host.Control("qmtplisten", ":209")
	r.host.Control("qmqplisten", ":628")
	r.host.Control("qmqphosts", r.host.IP.String())
	r.start()
	for _, p := range protocols {
		await := func() { r.awaitTaken("by "+p.program, func() outcome { return r.byNetstrings(p, noFault, 600) }) }
		await()
		r.run(sweep{
			name: "message", program: p.program, classes: servicePath, share: 8, most: 6,
			do: func(o faultcall.Order) bool {
				r.arm(o)
				r.byNetstrings(p, o, []int{600, 100_000}[r.sent%2])
				return r.arm()[0] >= o.Nth
			},
			rest: await,
		})
	}
	r.finish()
}

// byNetstrings sends a message to alice.
func (r *rig) byNetstrings(p protocol, o faultcall.Order, size int) outcome {
	r.t.Helper()
	in, text := r.compose(p.program, size, "alice")
	if o.Class == faultcall.Send || o.Class == faultcall.Receive {
		r.book.Fault("lost answer", o.Program)
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), answerWait)
	defer cancel()
	c, err := r.host.Dial(ctx, "tcp", r.host.IP.String()+p.port)
	if err != nil {
		return r.note(in, refused) // it never heard of it
	}
	defer c.Close()
	deadline, _ := ctx.Deadline()
	if err := c.SetDeadline(deadline); err != nil {
		r.t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(c, p.request(text, in.Sender, in.Recipients[0])) }() // an error shows in the answer
	answer, err := firstNetstring(c)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		r.wrong("%s: %s: no answer: %v", in.ID, describe(o), err)
	case err == nil && answer[0] == 'K':
		return r.note(in, taken)
	case err == nil && answer[0] == 'Z':
		return r.note(in, refused)
	case err == nil:
		r.wrong("%s: %s: the answer to a fault of the machine is %q", in.ID, describe(o), answer)
		return r.note(in, refused)
	}
	return r.note(in, unanswered) // the connection was closed
}

func firstNetstring(c io.Reader) (string, error) {
	s, err := netstring.Open(bufio.NewReader(c), 1000)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(s)
	if err == nil {
		err = s.Close()
	}
	if err == nil && len(b) == 0 {
		err = errors.New("an empty answer")
	}
	return string(b), err
}
