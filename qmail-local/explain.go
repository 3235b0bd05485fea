package qmaillocal

import (
	"fmt"
	"io"

	"postrider/internal/dotqmail"
	"postrider/internal/fate"
	"postrider/internal/wire/steps"
	"postrider/internal/world"
)

// explainMain answers what would be done with mail (internal/wire/steps). A
// question is the eight operands of the command line. Of the acts "sender" is that
// of forwards; the others are those that -n prints.
func explainMain(w world.World) int {
	a, err := newAgent(w, nil)
	if err != nil {
		complain(w.Stderr, textOf(err)+"\n")
		return exitTemporary
	}
	err = steps.Serve(w.Stdin, w.Stdout, func(question []string) (answer steps.Answer) {
		if len(question) != 8 {
			answer.End(steps.Unknown, "qmail-local is asked with eight operands")
			return answer
		}
		q := question
		d := &delivery{
			agent: a, operands: operands{q[0], q[1], q[2], q[3], q[4], q[5], q[6], q[7]}, dryRun: true,
			out: io.Discard, slot: func() error { return nil }, answer: &answer,
		}
		d.explained(d.run())
		return answer
	})
	if err != nil {
		return exitTemporary
	}
	return exitDone
}

// explained ends an answer by how the delivery would end.
func (d *delivery) explained(err error) {
	switch {
	case err == nil:
		d.answer.End(steps.Goes, "")
	case fate.ClassOf(err) == fate.Permanent:
		d.answer.End(steps.Fails, textOf(err))
	default:
		d.answer.End(steps.Waits, textOf(err))
	}
}

// explain says, in a dry run, why something would be done. What would be done is
// on standard output, in qmail's words for the programs that read them; this is
// on standard error, for people.
func (d *delivery) explain(at steps.Place, format string, args ...any) {
	switch {
	case d.answer != nil:
		d.answer.Say("mailbox", at, format, args...)
	case d.notes != nil:
		// If he does not read it, he does not want to know.
		_, _ = fmt.Fprintf(d.notes, program+": "+format+"\n", args...)
	}
}

// explainFile says which instructions were found.
func (d *delivery) explainFile(name string, mode uint32, text string, defaultExt *string) {
	at := d.place(name)
	d.explain(at, "%s is the file for the address", name)
	if defaultExt != nil {
		d.explain(at, "DEFAULT is %q", *defaultExt)
	}
	switch {
	case text == "":
		d.explain(at, "it is empty: the default delivery counts")
	case mode&forwardMode != 0:
		d.explain(at, "its x bit is set: it may only forward")
	}
}

func (d *delivery) explainSender(newSender string) {
	if d.answer != nil {
		d.answer.Do("sender", newSender, steps.Place{})
	}
}

// place is where a file in the home directory is.
func (d *delivery) place(name string) steps.Place {
	return steps.Place{File: d.home + "/" + name}
}

// lineOf is where an instruction stands.
func (d *delivery) lineOf(i dotqmail.Instruction) steps.Place {
	return steps.Place{File: d.file, Line: i.Line}
}
