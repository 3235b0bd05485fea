package commands

import (
	"io"

	"postrider/internal/fate"
	"postrider/internal/world"
)

// answer is what a program says by its exit code.
type answer int

const (
	yes   answer = iota // exit code 0
	no                  // any other
	later               // it cannot say now
)

// ask runs a program on the message and returns what it says. One that cannot
// be run says no, unless that may pass.
func ask(w world.World, program string, argv []string) (answer, int) {
	p, err := start(w, argv, w.Stdin)
	if err != nil {
		_, _ = io.WriteString(w.Stderr, program+": warning: "+err.Error()+"\n")
		if fate.IsTemporaryErrno(err) {
			return later, exitLater
		}
		return no, exitNever
	}
	code, crashed, err := wait(p)
	switch {
	case err != nil:
		return later, fail(w, program, exitLater, "unable to wait for "+argv[0]+": "+err.Error())
	case crashed:
		return later, fail(w, program, exitLater, argv[0]+" crashed")
	case code == exitDone:
		return yes, code
	case code == exitLater:
		return later, code
	}
	return no, code
}

// BounceSaying is bouncesaying: it refuses a message, if a program says yes,
// with a text of the user's.
func BounceSaying(w world.World) int {
	if len(w.Args) < 2 {
		return usage(w, "bouncesaying error [program [arg ...]]")
	}
	if len(w.Args) > 2 {
		switch said, _ := ask(w, "bouncesaying", w.Args[2:]); said {
		case no:
			return exitDone
		case later:
			return exitLater
		}
	}
	_, _ = io.WriteString(w.Stderr, w.Args[1]+"\n")
	return exitNever
}

// Except is except: it turns the answer of a program around.
func Except(w world.World) int {
	if len(w.Args) < 2 {
		return usage(w, "except program [arg ...]")
	}
	switch said, _ := ask(w, "except", w.Args[1:]); said {
	case yes:
		return exitNever
	case later:
		return exitLater
	}
	return exitDone
}

// CondRedirect is condredirect: it sends a message to another address, and
// nowhere else, if a program says yes. The sender stays who it was.
func CondRedirect(w world.World) int {
	if len(w.Args) < 3 {
		return usage(w, "condredirect address program [arg ...]")
	}
	sender, ok := w.Getenv("SENDER")
	if !ok {
		return fail(w, "condredirect", exitNever, "SENDER is not set: qmail-local sets it for the programs in .qmail files")
	}
	switch said, _ := ask(w, "condredirect", w.Args[2:]); said {
	case no:
		return exitDone
	case later:
		return exitLater
	}
	if _, err := w.Stdin.Seek(0, io.SeekStart); err != nil {
		return fail(w, "condredirect", exitLater, "unable to rewind the message: "+err.Error())
	}
	if code := send(w, "condredirect", sender, w.Args[1:2]); code != exitDone {
		return code
	}
	return exitStop
}
