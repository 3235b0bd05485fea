// Package inject is qmail-inject, sendmail and mailsubj: what programs and
// people on the machine start to send a message (spec sections 7.1 and 7.2).
// They are one piece of code; sendmail starts no qmail-inject.
//
// Who may import it: their mains in cmd, and that of newaliases. It links nothing
// that makes a program start slowly: no net, os/user, os/exec, crypto, regexp.
//
// Input is hostile: message, arguments and environment belong to whoever
// started the program. That is also whose rights the program has.
//
// Invariants:
//
//  1. Exit 0 means that the queue has the message, that every recipient asked
//     for is in its envelope, and that there is at least one (R48). A field of
//     recipients that cannot be read is refused, not skipped.
//  2. No address with CR, LF, NUL or another control byte reaches the envelope
//     or a header line; nor does such a byte from the environment (R36, R37).
//  3. Memory is bounded: a header up to maxHeader is held, its body streams.
//  4. Until the header and the recipients are understood, nothing is submitted
//     that could not be taken back.
//  5. Bytes that the rules do not speak of are unchanged.
//
// Permanent, exit 100: wrong usage, a header that cannot be read, no recipient,
// and what the queue refuses for good. Temporary, exit 111: everything else.
//
// Files:
//
//	main.go      the options of qmail-inject
//	sendmail.go  sendmail and mailq
//	mailsubj.go  mailsubj
//	newaliases.go  newaliases
//	flags.go     the table of sendmail's flags
//	inject.go    one message from standard input to the queue, step by step
//	read.go      where the header ends; line ends
//	fields.go    the fields that mean something
//	lost.go      recipients behind a line that ends the header
//	compose.go   the header as it is queued
//	generate.go  the fields that are added
//	followup.go  Mail-Followup-To
//	envelope.go  sender and recipients
//	identity.go  who the user is, by the environment
//	rewrite.go   the domain that an address lacks
//	examine.go   the settings of that, for qmail-showctl
//	outlet.go    the queue or standard output
//	dsn.go       which reports of delivery sendmail is asked for
//	report.go    messages and exit codes
package inject
