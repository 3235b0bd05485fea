package qmaillocal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"postrider/internal/dotqmail"
	"postrider/internal/fate"
	"postrider/internal/wire/steps"
)

// operands are qmail-local's eight.
type operands struct {
	user, home, local, dash, ext, domain, sender, defaultDelivery string
}

// delivery is one message for one recipient.
type delivery struct {
	*agent
	operands
	message *message
	// requireTLS: what is forwarded goes by TLS or not at all (RFC 8689).
	requireTLS bool
	out        io.Writer // receives the summary
	// programOut is what programs write to; nil is a pipe that is read into
	// out.
	programOut *os.File
	// slot waits until a program, a forward or an mbox delivery may begin.
	slot   func() error
	dryRun bool      // say what would be done
	notes  io.Writer // receives why, if it is not nil
	// answer, if it is not nil, receives both instead.
	answer *steps.Answer
	file   string // whose instructions are followed

	homeDir   int      // the open home directory
	account   *account // the user of a domain of vpopmail's whose mail it is, if it is
	lines     lines
	variables []string // the environment of programs
	forwards  []string
	hasSlot   bool
	slotSince time.Time

	files, forwarded, programs int
}

// errEnough ends a delivery as done, though instructions are left.
var errEnough = errors.New("no further instructions")

// run carries out the delivery. Its error is what the recipient's file, or
// the trouble with it, decided.
func (d *delivery) run() error {
	closeHome, err := d.openHome()
	if err != nil {
		return err
	}
	defer closeHome()
	if err := d.checkHome(); err != nil {
		return err
	}
	d.lines = linesFor(d.operands, d.clock.Now())
	if !d.dryRun {
		if err := d.checkLoop(); err != nil {
			return err
		}
	}
	file, err := d.instructions()
	if err != nil {
		return err
	}
	newSender, err := d.newSender(file.owner)
	if err != nil {
		return err
	}
	if newSender != d.sender {
		d.explain(steps.Place{}, "forwards have the sender %s, since there is a file for the owner", newSender)
	}
	d.explainSender(newSender)
	d.variables = environment(d.environ, d.operands, d.lines, newSender, file.defaultExt)
	for i := range file.all {
		if err = d.follow(i); err != nil {
			break
		}
	}
	if err != nil && err != errEnough {
		return err
	}
	return d.finish(newSender)
}

// follow carries out one instruction.
func (d *delivery) follow(i dotqmail.Instruction) error {
	switch i.Kind {
	case dotqmail.Maildir:
		d.files++
		return d.unlessDry("maildir", i, d.toMaildir)
	case dotqmail.Mbox:
		d.files++
		return d.unlessDry("mbox", i, d.toMbox)
	case dotqmail.LMTP:
		d.files++
		return d.unlessDry("lmtp", i, d.toLMTP)
	case dotqmail.Program:
		if done, err := d.asVdelivermail(i); done || err != nil {
			return err
		}
		d.programs++
		return d.unlessDry("program", i, d.toProgram)
	case dotqmail.Forward:
		d.forwarded++
		d.forwards = append(d.forwards, i.Text)
		return d.unlessDry("forward", i, func(string) error { return nil })
	}
	return fate.Temp("7.0", i.Text, "read instructions", nil)
}

func (d *delivery) unlessDry(what string, i dotqmail.Instruction, do func(string) error) error {
	switch {
	case !d.dryRun:
		return do(i.Text)
	case d.answer != nil:
		d.answer.Do(what, i.Text, d.lineOf(i))
		return nil
	}
	_, err := fmt.Fprintf(d.out, "%s %s\n", what, i.Text)
	return err
}

// finish hands in the forwards and sums up.
func (d *delivery) finish(newSender string) error {
	var qp string
	if len(d.forwards) > 0 && !d.dryRun {
		var err error
		if qp, err = d.forward(newSender); err != nil {
			return err
		}
	}
	summary := fmt.Sprintf("did %d+%d+%d\n", d.files, d.forwarded, d.programs)
	if qp != "" {
		summary += "qp " + qp + "\n"
	}
	_, err := io.WriteString(d.out, summary)
	return err
}

// takeSlot waits for the slot of this delivery, unless it has it.
func (d *delivery) takeSlot() error {
	if d.hasSlot {
		return nil
	}
	if err := d.slot(); err != nil {
		return err
	}
	d.hasSlot, d.slotSince = true, time.Now()
	return nil
}
