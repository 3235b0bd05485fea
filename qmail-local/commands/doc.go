// Package commands is the programs for .qmail lines (spec section 4.7):
// forward, condredirect, bouncesaying, except, preline, qreceipt, qbiff and
// qmail-autoresponder; and those that users start themselves: maildirmake,
// maildirwatch, maildir2mbox with elq, pinq and qail, and predate with datemail.
//
// Only their mains in cmd import it. They run as the user whose mail it is.
// Arguments are the user's; the message and the variables that qmail-local
// sets hold bytes of strangers. No argument reaches a shell.
//
// A program exits as qmail-local expects: 0 done, 99 done and no more of the
// file, 100 never, 111 later. Where that allows a choice it is later.
//
// Files:
//
//	child.go         running the program that a command line names
//	answer.go        condredirect, bouncesaying, except: what it says decides
//	forward.go       forward, and handing in a message
//	preline.go       preline
//	predate.go       predate and datemail
//	maildirmake.go   maildirmake
//	maildir2mbox.go  maildir2mbox
//	readers.go       elq, pinq, qail
//	watch.go         maildirwatch
//	receipt.go       qreceipt
//	biff.go          qbiff
//	autoresponder.go qmail-autoresponder (RFC 3834)
//	answered.go      whom it has answered
//	head.go          the header of a message
package commands
