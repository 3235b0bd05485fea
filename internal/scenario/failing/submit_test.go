//go:build linux && amd64

package failing

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"postrider/internal/faultcall"
	"postrider/internal/ledger"
	"postrider/internal/testhost"
)

// answerWait is longer than any pause that a fault leads to.
const answerWait = 20 * time.Second

// outcome is what a submitter was told.
type outcome int

const (
	taken outcome = iota
	refused
	unanswered
)

// note writes an outcome down.
func (r *rig) note(in ledger.Intent, o outcome) outcome {
	switch o {
	case taken:
		r.book.Ack(in.ID)
	case refused:
		r.book.Nack(in.ID, 451)
	default:
		r.book.Unknown(in.ID)
	}
	return o
}

// bySMTP sends a message by SMTP under an order.
func (r *rig) bySMTP(o faultcall.Order, size int, to ...string) outcome {
	r.t.Helper()
	return r.send(o, size, func(*testhost.Client) error { return nil }, to...)
}

// send is bySMTP with something between hello and the message.
func (r *rig) send(o faultcall.Order, size int, prelude func(*testhost.Client) error, to ...string) outcome {
	r.t.Helper()
	in, text := r.compose("smtp", size, to...)
	asks := o.Program == "qmail-smtpd" || o.Program == "qmail-filter"
	if o.Class == faultcall.Send || o.Class == faultcall.Receive && asks || o.Fault.Kill {
		// An answer that is lost leaves it open whether the message was taken:
		// qmail-smtpd has a long one no more to ask again with, and what a
		// program has done is done.
		r.book.Fault("lost answer", o.Program)
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), answerWait)
	defer cancel()
	c, err := r.host.SMTP(ctx, r.host.IP.String()+":25")
	if err == nil {
		defer c.Close()
		if err = prelude(c); err == nil {
			err = c.Send(in.Sender, in.Recipients, text)
		}
	}
	var reply *testhost.Reply
	switch {
	case err == nil:
		return r.note(in, taken)
	case errors.As(err, &reply):
		if reply.Code/100 != 4 {
			r.wrong("%s: %s: the answer to a fault of the machine is %v", in.ID, describe(o), reply)
		}
		return r.note(in, refused)
	case errors.Is(err, os.ErrDeadlineExceeded):
		r.wrong("%s: %s: no answer: %v", in.ID, describe(o), err)
		if r.silent++; r.silent == 3 {
			r.t.Fatalf("no service: %v\nlog:\n%s", r.problems, r.lastLog(100))
		}
	case isEarly(err):
		return r.note(in, refused)
	}
	return r.note(in, unanswered) // the connection was closed
}

// program runs a program of users, sendmail or qmail-queue, with a message.
// Under a supervisor of its own it meets the order; with none the order is one
// for the suite.
func (r *rig) program(o faultcall.Order, supervised bool, name string, size int, to ...string) (got outcome, fired bool) {
	r.t.Helper()
	if !supervised {
		got, _ = r.programUnder(o, nil, name, size, to...)
		return got, false
	}
	got, events := r.programUnder(o, []faultcall.Order{o}, name, size, to...)
	return got, len(events) > 0
}

// callsOf counts the calls of a program that meets no fault.
func (r *rig) callsOf(name string, size int) map[faultcall.Class]int {
	r.t.Helper()
	var records []faultcall.Order
	for _, class := range callerCalls {
		records = append(records, faultcall.Order{Program: name, Class: class})
	}
	got, events := r.programUnder(faultcall.Order{}, records, name, size, "alice")
	if got != taken {
		r.t.Fatalf("%s does not work without faults, either", name)
	}
	counts := make(map[faultcall.Class]int)
	for _, e := range events {
		counts[e.Class]++
	}
	return counts
}

// programUnder runs a program with orders for it, or without a supervisor, and
// judges its end by o.
func (r *rig) programUnder(o faultcall.Order, orders []faultcall.Order, name string, size int, to ...string) (outcome, []faultcall.Event) {
	r.t.Helper()
	in, text := r.compose(name, size, to...)
	command := testhost.Command{Argv: []string{
		"setpriv", "--reuid=" + sender, "--regid=" + sender, "--init-groups", "env", "-i", "/var/qmail/bin/" + name}}
	var files []*os.File
	switch name {
	case "sendmail":
		command.Argv = append(append(command.Argv, "-f", in.Sender), in.Recipients...)
	case "qmail-queue":
		files = append(files, r.pipe("F"+in.Sender+"\x00T"+strings.Join(in.Recipients, "\x00T")+"\x00\x00"))
	}
	files = append([]*os.File{r.pipe(text)}, append(files, r.null(), r.null())...)[:3]
	var calls *faultcall.Supervisor
	if orders != nil {
		var theirs *os.File
		var err error
		if calls, theirs, err = faultcall.New(orders...); err != nil {
			r.t.Fatal(err)
		}
		defer calls.Close()
		files = append(files, theirs)
		command.Argv = append(faultcall.Prefix(testBinary), command.Argv...)
	}
	if o.Class == faultcall.Receive || o.Class == faultcall.Send || o.Fault.Kill {
		r.book.Fault("lost answer", o.Program)
	}
	command.Files = files
	code := r.runToEnd(command)
	var events []faultcall.Event
	if calls != nil {
		events = calls.All()
	}
	return r.judgeExit(in, o, code), events
}

// leave puts a message into queue/drop as qmail-queue does when nobody answers,
// and waits until it was taken in or the fault has left it there: a run of
// qmail-queue against a socket that refuses.
func (r *rig) leave() {
	r.t.Helper()
	first := r.host.Log().Len()
	socket := r.host.Path("/var/qmail/queue/submit.sock")
	if err := os.Rename(socket, socket+".away"); err != nil {
		r.t.Fatal(err)
	}
	got, _ := r.program(faultcall.Order{}, false, "qmail-queue", 600, "alice")
	if err := os.Rename(socket+".away", socket); err != nil {
		r.t.Fatal(err)
	}
	if got != taken {
		r.t.Fatal("qmail-queue does not drop")
	}
	r.awaitDropOr(func() bool { return r.host.Log().Len() > first }) // a warning
}

// awaitDrops waits until everything in queue/drop was taken in.
func (r *rig) awaitDrops() {
	r.t.Helper()
	r.awaitDropOr(func() bool { return false })
}

func (r *rig) awaitDropOr(enough func() bool) {
	r.t.Helper()
	ctx := testhost.Within(r.t, patient+patient/2)
	for {
		moment, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		names, err := r.host.WaitForFiles(moment, "/var/qmail/queue/drop", func(names []string) bool { return len(names) == 0 })
		cancel()
		switch {
		case err == nil || enough():
			return
		case ctx.Err() != nil:
			r.t.Fatalf("drop holds %d messages\nlog:\n%s", len(names), r.lastLog(50))
		}
	}
}

// exitOS is sendmail's trouble that passes, as sysexits has it: the manual page
// says why not 75.
const exitOS = 71

// judgeExit: 0, or a temporary failure in the program's own words.
func (r *rig) judgeExit(in ledger.Intent, o faultcall.Order, code int) outcome {
	switch {
	case code == 0:
		return r.note(in, taken)
	case code < 0 && o.Fault.Kill:
		return r.note(in, unanswered)
	case in.Via == "sendmail" && code != exitOS, in.Via == "qmail-queue" && (code >= 11 && code <= 40 || code < 0):
		r.wrong("%s: %s: exit code %d", in.ID, describe(o), code)
	}
	return r.note(in, refused)
}

func (r *rig) runToEnd(c testhost.Command) int {
	r.t.Helper()
	defer func() {
		for _, f := range c.Files {
			f.Close()
		}
	}()
	p, err := r.host.Start(c)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range c.Files {
		f.Close()
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), answerWait)
	defer cancel()
	result, err := p.Wait(ctx)
	if err != nil {
		_ = p.SignalGroup(syscall.SIGKILL)
		r.t.Fatalf("%v: %v", c.Argv, err)
	}
	return result.Code
}

// pipe returns the reading end of a pipe that gives text.
func (r *rig) pipe(text string) *os.File {
	r.t.Helper()
	out, in, err := os.Pipe()
	if err != nil {
		r.t.Fatal(err)
	}
	go func() {
		_, _ = io.WriteString(in, text) // not read to the end after a fault
		in.Close()
	}()
	return out
}

func (r *rig) null() *os.File {
	r.t.Helper()
	f, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	return f
}
