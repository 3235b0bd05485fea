package inject

import (
	"errors"
	"io"
	"strings"

	"postrider/internal/enqueue"
	"postrider/internal/fate"
)

// Exit codes (spec section 7.1).
const (
	exitDone      = 0
	exitPermanent = 100
	exitTemporary = 111
)

// refuse is the error of a message or command line that will never do.
func refuse(text string) error { return fate.Perm("6.0", text, "", nil) }

// trouble is the error of a machine that may recover; op says what failed.
func trouble(op string, err error) error {
	return fate.Temp("3.0", op+": "+err.Error(), op, err)
}

// report writes err for the user and returns the exit code.
func report(w io.Writer, program string, err error) int {
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
		return exitPermanent
	}
	return exitTemporary
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
	return strings.Map(func(r rune) rune {
		if r < 32 && r != '\n' && r != '\t' || r == 127 {
			return '?'
		}
		return r
	}, text) + more
}
