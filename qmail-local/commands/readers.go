package commands

import (
	"syscall"

	"postrider/internal/world"
)

// The three programs move the messages of a Maildir into an mbox, as
// maildir2mbox does, and become a mail reader that knows mboxes only.

// Elq is elq, for elm.
func Elq(w world.World) int { return readMbox(w, "elq", "elm") }

// Pinq is pinq, for pine.
func Pinq(w world.World) int { return readMbox(w, "pinq", "pine") }

// Qail is qail, for Mail.
func Qail(w world.World) int { return readMbox(w, "qail", "Mail") }

func readMbox(w world.World, program, reader string) int {
	if code := MaildirToMbox(w); code != exitDone {
		return code
	}
	path, err := lookPath(w, reader)
	if err == nil {
		err = syscall.Exec(path, append([]string{reader}, w.Args[1:]...), w.Environ)
	}
	return fail(w, program, exitOf(err), "unable to run "+reader+": "+err.Error())
}
