//go:build linux && amd64

package failing

import (
	"context"
	"errors"
	"testing"
	"time"

	"postrider/internal/faultcall"
	"postrider/internal/testhost"
)

// spoolCalls are on qmail-spool's way from the first byte to the answer.
var spoolCalls = []faultcall.Class{
	faultcall.Open, faultcall.Write, faultcall.Read, faultcall.Sync, faultcall.Submit, faultcall.Rename, faultcall.Unlink,
	faultcall.Close, faultcall.Flush, faultcall.Send, faultcall.Receive, faultcall.Accept,
}

// TestAcceptance lets each call of qmail-spool fail while messages of all
// sizes come in by SMTP.
func TestAcceptance(t *testing.T) {
	r := newRig(t, "alice")
	r.host.Control("concurrencylocal", "0") // nothing else happens meanwhile
	r.start()
	var n tally
	for _, size := range []struct {
		name  string
		bytes int
	}{{"small", 600}, {"medium", 40_000}, {"large", 100_000}} {
		r.run(sweep{
			name: "SMTP " + size.name, program: "qmail-spool", classes: spoolCalls,
			do: func(o faultcall.Order) { r.bySMTP(o, size.bytes, "alice") },
		}, &n)
	}
	n.log(t)
	r.host.StopSuite()
	r.host.Control("concurrencylocal", "20")
	r.start()
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	r.drain(ctx)
	r.judge()
}

// bySMTP sends a message and checks that the answer is one that a fault of the
// machine may have.
func (r *rig) bySMTP(o faultcall.Order, size int, to ...string) {
	r.t.Helper()
	in, text := r.compose("smtp", size, to...)
	if o.Class == faultcall.Send || o.Fault.Kill {
		// An answer that is lost leaves it open whether the message was taken,
		// and qmail-smtpd has a long one no more to ask again with.
		r.book.Fault("lost answer", o.Program)
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	c, err := r.host.SMTP(ctx, r.host.IP.String()+":25")
	if err == nil {
		defer c.Close()
		err = c.Send(in.Sender, in.Recipients, text)
	}
	var reply *testhost.Reply
	switch {
	case err == nil:
		r.book.Ack(in.ID)
	case errors.As(err, &reply):
		r.book.Nack(in.ID, reply.Code)
		if reply.Code/100 != 4 {
			r.t.Errorf("%s %s: the answer to a fault of the machine is %v", in.ID, describe(o), reply)
		}
	default:
		r.book.Unknown(in.ID)
		r.t.Errorf("%s %s: no answer: %v", in.ID, describe(o), err)
		if r.silent++; r.silent == 3 {
			r.t.Fatalf("no service\nlog:\n%s", r.host.Log().Timed(max(0, r.host.Log().Len()-100)))
		}
	}
}

func describe(o faultcall.Order) string {
	return faultcall.Event{Program: o.Program, Call: string(o.Class), Nth: o.Nth, Fault: o.Fault, Target: o.Target}.String()
}
