package explain

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"

	"postrider/internal/world"
)

// Exit codes.
const (
	exitGoes    = 0   // all mail would go its way
	exitDiffers = 1   // of a corpus some would go another way
	exitFails   = 100 // some would be refused or bounced; or the command line is wrong
	exitTrouble = 111 // some would wait, or it could not be found out
)

// Main is qmail-explain.
func Main(w world.World) int {
	o, err := parseOptions(w.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		_, _ = io.WriteString(w.Stdout, usage)
		return exitGoes
	}
	if err != nil {
		complain(w, "%v\n%s", err, usage)
		return exitFails
	}
	code, err := run(w, o)
	if err != nil {
		complain(w, "fatal: %v\n", err)
		return exitTrouble
	}
	return code
}

func complain(w world.World, format string, args ...any) {
	_, _ = fmt.Fprintf(w.Stderr, "qmail-explain: "+format, args...)
}

func run(w world.World, o options) (code int, err error) {
	if o.corpus != "" {
		return runCorpus(w, o)
	}
	e, err := newExplainer(w, o, o.control)
	if err != nil {
		return 0, err
	}
	defer e.close()
	out := bufio.NewWriter(w.Stdout)
	for i, recipient := range o.addresses {
		s := e.explain(message{sender: o.sender, recipient: recipient, client: o.client})
		code = max(code, exitOf(s.worst()))
		if o.json {
			err = writeJSON(out, s)
		} else {
			if i > 0 {
				_ = out.WriteByte('\n') // the flush tells
			}
			err = writeText(out, s)
		}
		if err != nil {
			return 0, err
		}
	}
	return code, out.Flush()
}

func exitOf(v Verdict) int {
	switch v {
	case Delivered, Sent, Discarded:
		return exitGoes
	case Refused, Bounced:
		return exitFails
	}
	return exitTrouble
}
