// Package rspawn is qmail-rspawn: where QMAILREMOTE names a program, that one
// delivers mail to other hosts in place of the qmail-remote workers, one process
// a delivery, as qmail does it (spec section 3.3).
//
// Only cmd/qmail-rspawn imports it. Jobs of qmail-send are believed, addresses
// in them are whatever senders say; the program is the administrator's, and what
// it prints is what other hosts have said.
//
// Invariants:
//
//  1. Each recipient of a job gets exactly one result, of one run that had no
//     other recipient.
//  2. A program that could not be run, that crashed, or that ran too long, is a
//     temporary failure; so is every exit status that qmail has no word for.
//  3. Each run has the message at its beginning, and a limit of time and output.
//  4. What needs REQUIRETLS is not given to a program: it does not know of it.
//
// Files:
//
//	main.go    Main: the control channel, the link to qmail-send
//	run.go     one run of the program
//	report.go  what a run has said, as a result
package rspawn
