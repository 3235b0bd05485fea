// Package logread understands the lines of the suite's logs: those of
// qmail-send, which are qmail's (spec section 2.8), and those of the other
// programs, whose form is "program: event name=value ...".
//
// Who logs keeps to internal/logline, so that a line is printable ASCII and a
// value one word; what is read here may all the same be anything, since a log
// has lines of others, torn lines and lines of clients' words.
//
// stamp.go takes off what a logger has put in front of a line; line.go and
// send.go make a Line of it; json.go writes one as JSON.
package logread
