package qmaillocal

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"postrider/internal/fate"
	"postrider/internal/getopt"
	"postrider/internal/world"
)

const (
	program = "qmail-local"
	usage   = program + ": usage: " + program + " [ -nN ] user homedir local dash ext domain sender defaultdelivery\n"
	umask   = 0o077
)

// commandLine is qmail's form (spec section 4.1): one delivery of the message
// on descriptor 0, the report on 1 and 2, the outcome as exit code.
func commandLine(w world.World) int {
	o, dryRun, err := parseArguments(w.Args[1:])
	if err != nil {
		complain(w.Stderr, err.Error())
		return exitPermanent
	}
	unix.Umask(umask)
	a, err := newAgent(w, w.Environ)
	if err != nil {
		complain(w.Stderr, textOf(err)+"\n")
		return exitTemporary
	}
	d := &delivery{
		agent: a, operands: o, dryRun: dryRun,
		out: w.Stdout, programOut: w.Stdout,
		slot: func() error { return nil },
	}
	if dryRun {
		d.notes = w.Stderr
	}
	if d.message, err = newMessage(w.Stdin); err == nil {
		err = d.run()
	} else if dryRun {
		err = d.run() // the message is not looked at
	} else {
		err = temporary("stat message", err, "Unable to rewind message: %s. (#4.3.0)", reason(err))
	}
	if err == nil {
		return exitDone
	}
	if text := textOf(err); text != "" {
		complain(w.Stderr, text+"\n")
	}
	if fate.ClassOf(err) == fate.Permanent {
		return exitPermanent
	}
	return exitTemporary
}

// parseArguments reads options and the eight operands.
func parseArguments(args []string) (o operands, dryRun bool, err error) {
	opts, rest, err := getopt.Parse(args, "nN")
	if err != nil {
		return o, false, fmt.Errorf("%s: %w\n%s", program, err, usage)
	}
	for _, opt := range opts {
		dryRun = opt.Letter == 'n'
	}
	if len(rest) != 8 || !strings.HasPrefix(rest[1], "/") {
		return o, false, fmt.Errorf("%s", usage)
	}
	return operands{rest[0], rest[1], rest[2], rest[3], rest[4], rest[5], rest[6], rest[7]}, dryRun, nil
}

// complain writes text where the caller reads it; if he does not, the exit
// code says the rest.
func complain(stderr *os.File, text string) { _, _ = io.WriteString(stderr, text) }
