package inject

import (
	"strings"

	"postrider/internal/getopt"
	"postrider/internal/world"
)

// Where recipients come from.
type source int

const (
	fromEither    source = iota // the arguments if there are any, else the header
	fromArguments               // the arguments only
	fromHeader                  // the header only
	fromBoth                    // the arguments, then the header
)

// A request is what a command line asks for.
type request struct {
	program    string // for messages
	source     source
	recipients []string
	head       string  // goes before standard input (mailsubj)
	sender     *string // -f; nil if it was not given
	fullName   string  // sendmail's -F
	// The user and host of From follow the sender, and the names of the
	// environment do not count (sendmail's -f).
	fromFollows bool
	facts       facts
	print       bool // write to standard output, queue nothing
}

const injectUsage = "qmail-inject: usage: qmail-inject [ -aAhHnN ] [ -f sender ] [ recip ... ]"

// Main is qmail-inject.
func Main(w world.World) int {
	req, err := injectRequest(w.Args[1:])
	if err != nil {
		say(w.Stderr, "qmail-inject: "+err.Error()+"\n"+injectUsage)
		return exitPermanent
	}
	return report(w.Stderr, req.program, qmailExits, run(w, req))
}

func injectRequest(args []string) (request, error) {
	req := request{program: "qmail-inject"}
	opts, rest, err := getopt.Parse(args, "aAhHnNf:")
	for _, o := range opts {
		switch o.Letter {
		case 'a':
			req.source = fromArguments
		case 'A':
			req.source = fromEither
		case 'h':
			req.source = fromHeader
		case 'H':
			req.source = fromBoth
		case 'n':
			req.print = true
		case 'N':
			req.print = false
		case 'f':
			req.sender = &o.Value
		}
	}
	req.recipients = rest
	return req, err
}

// usesHeader reports whether recipients are looked for in the header.
func (r request) usesHeader() bool {
	return r.source == fromHeader || r.source == fromBoth || r.source == fromEither && len(r.recipients) == 0
}

// usesArguments reports whether the arguments are recipients.
func (r request) usesArguments() bool { return r.source != fromHeader }

// nullSender reports whether s is a way to write the null sender. Spec section
// 7.1 has `-f '<>'` make an address of it; no caller can want that.
func nullSender(s string) bool { return strings.Trim(s, " ") == "" || s == "<>" }
