//go:build linux && amd64

package failing

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"postrider/internal/faultcall"
	"postrider/internal/testhost"
)

const password = "kept by qmail-auth"

// loginPath are the calls of daemons that qmail-smtpd asks.
var loginPath = []faultcall.Class{
	faultcall.Open, faultcall.Read, faultcall.Write, faultcall.Close, faultcall.List, faultcall.Stat,
	faultcall.Memory, faultcall.Send, faultcall.Receive, faultcall.Socket,
}

// TestLogins lets calls of the daemons that qmail-smtpd asks fail while a user
// logs in with TLS and sends: to her it is never the password that is wrong, nor
// the mailbox that is missing, and one that is missing is never there.
func TestLogins(t *testing.T) {
	r := newRig(t, "alice")
	r.host.Control("concurrencylocal", "0") // nothing else happens meanwhile
	r.host.Control("verifyrcpt", "2")       // for those who have logged in, too
	r.host.Control("maxbadrcpt", "0")
	r.host.GiveKey()
	r.host.GivePassword("plain", sender, password)
	r.start()
	for _, program := range []string{"qmail-auth", "qmail-tlskey", "qmail-lookup", "qmail-smtpd"} {
		r.run(sweep{
			name: "login and TLS", program: program, classes: loginPath, share: 8, most: 12,
			do: r.underLogin, rest: r.awaitLogin,
		})
	}
	r.host.Control("verifyrcpt", "0") // who waits for service asks for less
	r.finish()
}

// checker is a checkpassword program with one user.
const checker = `#!/bin/sh
test "$(tr '\0' '\n' <&3 | head -n 2)" = "` + sender + `
` + password + `" && exec "$@"
exit 1
`

// TestLoginsByProgram is TestLogins with a checkpassword program.
func TestLoginsByProgram(t *testing.T) {
	r := newRig(t, "alice")
	r.host.Control("concurrencylocal", "0")
	r.host.Control("verifyrcpt", "2")
	r.host.Control("maxbadrcpt", "0")
	r.host.GiveKey()
	r.host.WriteFile("/usr/local/bin/check", checker, 0o755)
	r.host.Control("checkpassword", "/usr/local/bin/check /bin/true")
	r.start()
	r.run(sweep{
		name: "login by a program", program: "qmail-checkpass", classes: append([]faultcall.Class{faultcall.Start}, loginPath...),
		share: 4, most: 8, rest: r.awaitLogin,
		do: func(o faultcall.Order) (fired bool) {
			r.arm(o)
			got := r.byLogin(o, 600, "alice")
			if fired = r.arm()[0] >= o.Nth; fired && got != taken {
				r.awaitLogin()
			}
			return fired
		},
	})
	r.host.Control("verifyrcpt", "0")
	r.finish()
}

// underLogin has a user log in and send under an order. What the daemons keep
// in memory is stale, so that they read it again.
func (r *rig) underLogin(o faultcall.Order) (fired bool) {
	r.t.Helper()
	r.age(testhost.PasswordFile)
	r.age(testhost.CertFile)
	r.arm(o)
	got := r.byLogin(o, 600, "alice")
	fired = r.arm()[0] >= o.Nth
	if fired && got != taken {
		r.awaitLogin()
	}
	return fired
}

// age makes a file look as if it had been written again.
func (r *rig) age(path string) {
	r.t.Helper()
	r.sent++
	when := time.Now().Add(-time.Duration(r.sent) * time.Second)
	if err := os.Chtimes(r.host.Path(path), when, when); err != nil {
		r.t.Fatal(err)
	}
}

// awaitLogin logs in until a message is taken.
func (r *rig) awaitLogin() {
	r.t.Helper()
	r.awaitTaken("by somebody who logs in", func() outcome { return r.byLogin(noFault, 600, "alice") })
}

// awaitTaken sends until a message is taken: after the start of a daemon, or
// after a moment, when what could not be read is looked at again.
func (r *rig) awaitTaken(how string, send func() outcome) {
	r.t.Helper()
	ctx := testhost.Within(r.t, patient)
	for first := r.host.Log().Len(); send() != taken; first = r.host.Log().Len() {
		moment, cancel := context.WithTimeout(ctx, time.Second)
		_, _, _ = r.host.Log().Wait(moment, first, startedAgain)
		cancel()
		if ctx.Err() != nil {
			r.wrong("no message is taken %s after the faults%s", how, r.lastFaults(3))
			return
		}
	}
}

// byLogin sends a message as a user does.
func (r *rig) byLogin(o faultcall.Order, size int, to ...string) outcome {
	r.t.Helper()
	return r.send(o, size, func(c *testhost.Client) error {
		if err := c.StartTLS(); err != nil {
			return early{err}
		}
		if err := c.Login(sender, password); err != nil {
			return early{err}
		}
		if err := r.nobodyIsRefused(o, c); err != nil {
			return early{err}
		}
		return nil
	}, to...)
}

// nobodyIsRefused names a recipient whom there is not: whatever fails, he is not
// taken.
func (r *rig) nobodyIsRefused(o faultcall.Order, c *testhost.Client) error {
	if err := c.Command("MAIL FROM:<"+sender+"@"+domain+">", 2); err != nil {
		return err
	}
	err := c.Command(fmt.Sprintf("RCPT TO:<%s%d@%s>", nobody, r.sent, domain), 5)
	var reply *testhost.Reply
	switch {
	case err == nil:
		return c.Command("RSET", 2)
	case errors.As(err, &reply) && reply.Code/100 == 2:
		r.wrong("%s: a recipient was taken whom there is not", describe(o))
	}
	return err
}

// early is an error before a message was begun, which so was not taken.
type early struct{ error }

func (e early) Unwrap() error { return e.error }

func isEarly(err error) bool {
	var e early
	return errors.As(err, &e)
}
