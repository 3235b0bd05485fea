package inject

import (
	"errors"
	"io"

	"postrider/internal/enqueue"
	"postrider/internal/fate"
	"postrider/internal/legible"
)

// Exit codes (spec section 7.1).
const (
	exitDone      = 0
	exitPermanent = 100
	exitTemporary = 111
)

// exits are the codes of a program: of a wrong command line, of a message that
// never will be queued, of trouble.
type exits struct{ misused, refused, trouble int }

// qmailExits are those of qmail's own programs.
var qmailExits = exits{exitPermanent, exitPermanent, exitTemporary}

// refuse is the error of a message or command line that will never do.
func refuse(text string) error { return fate.Perm("6.0", text, "", nil) }

// trouble is the error of a machine that may recover; op says what failed.
func trouble(op string, err error) error {
	return fate.Temp("3.0", op+": "+err.Error(), op, err)
}

// report writes err for the user of a program and returns the exit code.
func report(w io.Writer, program string, codes exits, err error) int {
	if err == nil {
		return exitDone
	}
	text := err.Error()
	var known *fate.Error
	if errors.As(err, &known) && known.Text != "" {
		text = known.Text
	}
	if cause := enqueue.Trouble(err); cause != "" {
		text += ": " + cause
	}
	say(w, program+": fatal: "+text)
	if fate.ClassOf(err) == fate.Permanent {
		return codes.refused
	}
	return codes.trouble
}

// say writes one message with one write. A standard error that cannot be
// written to changes nothing.
func say(w io.Writer, text string) { _, _ = io.WriteString(w, text+"\n") }

// shownBytes bounds how much of a wrong field a message shows.
const shownBytes = 1000

// shown makes text fit for a terminal.
func shown(text string) string {
	more := ""
	if len(text) > shownBytes {
		text, more = text[:shownBytes], "..."
	}
	return legible.Text(text) + more
}
