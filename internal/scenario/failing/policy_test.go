//go:build linux && amd64

package failing

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"syscall"
	"testing"

	"postrider/internal/faultcall"
	"postrider/internal/testhost"
)

// Addresses whose mail is never taken: the first by SPF, the others by the
// greylist, from this host's own address.
const (
	forged = "somebody@forged.example"
	self   = "127.0.0.1:25"
)

// TestPolicy lets calls of qmail-policy fail: what the DNS and the greylist
// refuse is never taken for that, nor is anything else refused for good. Nor is
// it after the greylist could not be written down, and was read again.
func TestPolicy(t *testing.T) {
	r := newRig(t, "alice")
	r.host.Control("concurrencylocal", "0")
	r.host.Control("spfbehavior", "3")
	r.host.Control("greylist", "3600")
	r.host.Control("tcp.smtp", `127.:allow`, `:allow,GREYLIST="0"`)
	r.net.Zone().Add(domain+`. TXT "v=spf1 +all"`, `forged.example. TXT "v=spf1 -all"`)
	r.start()
	for program, share := range map[string]int{"qmail-policy": 6, "qmail-smtpd": 16} {
		r.run(sweep{
			name: "SPF and greylist", program: program, classes: loginPath, share: share, most: 5,
			do: r.underPolicy, rest: r.awaitPlain,
		})
	}
	r.failJournal()
	r.finish()
}

// underPolicy sends what must not be taken, and what may be, under an order.
func (r *rig) underPolicy(o faultcall.Order) (fired bool) {
	r.t.Helper()
	r.arm(o)
	r.mustNotPass(o, r.host.IP.String()+":25", forged, "alice")
	r.mustNotPass(o, self, sender+"@"+domain, fmt.Sprint("alice-", r.sent))
	r.bySMTP(o, 600, "alice")
	return r.arm()[0] >= o.Nth
}

// mustNotPass names a recipient that no fault may make acceptable.
func (r *rig) mustNotPass(o faultcall.Order, address, from, to string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), answerWait)
	defer cancel()
	c, err := r.host.SMTP(ctx, address)
	if err != nil {
		return
	}
	defer c.Close()
	if err := c.Command("MAIL FROM:<"+from+">", 2); err != nil {
		return
	}
	err = c.Command("RCPT TO:<"+to+"@"+domain+">", 4)
	var reply *testhost.Reply
	switch {
	case err == nil:
	case errors.Is(err, os.ErrDeadlineExceeded):
		r.wrong("%s: no answer: %v", describe(o), err)
	case errors.As(err, &reply) && reply.Code/100 == 2:
		r.wrong("%s: mail from %s to %s is taken: %v", describe(o), from, to, reply)
	case errors.As(err, &reply) && from != forged:
		r.wrong("%s: mail from %s to %s is refused for good: %v", describe(o), from, to, reply)
	}
}

// journalCalls are those by which the greylist is written down.
var journalCalls = []faultcall.Class{
	faultcall.Write, faultcall.Sync, faultcall.Open, faultcall.Rename,
}

// failJournal lets a call fail while the greylist is written down, which happens
// every few seconds, and kills qmail-policy: what it reads then is not the truth,
// but nothing else either.
func (r *rig) failJournal() {
	r.t.Helper()
	var orders []faultcall.Order
	for _, class := range journalCalls {
		for _, fault := range faultsOf(class) {
			orders = append(orders, faultcall.Order{Program: "qmail-policy", Class: class, Nth: 1, Target: `/policy/greylist`, Fault: fault})
		}
	}
	r.random.Shuffle(len(orders), func(i, j int) { orders[i], orders[j] = orders[j], orders[i] })
	for _, o := range orders[:testhost.Times(r.t, "faults of the greylist's file", 2, len(orders))] {
		r.restart(func() {
			if o.Class != faultcall.Write { // which also appends
				r.host.Must("rm", "-f", "/var/qmail/policy/greylist")
			}
		})
		r.awaitPlain()
		events, _ := r.calls.Events(0)
		r.arm(o)
		known := fmt.Sprint("alice-known-", r.sent)
		r.mustNotPass(o, self, sender+"@"+domain, known)
		if !r.awaitFault(len(events)) {
			r.wrong("%s: it was never called", describe(o))
		}
		r.arm()
		r.count("qmail-policy")
		r.mustNotPass(o, self, sender+"@"+domain, known)
		first := r.host.Log().Len()
		r.book.Fault("kill", "qmail-policy")
		r.host.Kill("qmail-policy", syscall.SIGKILL)
		if _, _, err := r.host.Log().Wait(testhost.Within(r.t, patient), first, regexp.MustCompile(`^qmail-start: qmail-policy started`)); err != nil {
			r.wrong("%s: qmail-policy does not start again: %v", describe(o), err)
		}
		r.awaitPlain()
		r.mustNotPass(o, self, sender+"@"+domain, known)
	}
}

// awaitFault waits until a fault happens behind those that there were, for as
// long as it takes until the greylist is written twice.
func (r *rig) awaitFault(events int) bool {
	ctx, cancel := context.WithTimeout(r.t.Context(), answerWait/2)
	defer cancel()
	for {
		fresh, changed := r.calls.Events(events)
		if len(fresh) > 0 {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}
