// Package qmaillocal is qmail-local: it delivers messages to one user, as
// that user, the way his .qmail file says (spec sections 4.1 to 4.6).
//
// Only cmd/qmail-local imports it. It runs in two forms with the same code: as
// a worker that qmail-lspawn keeps for a user and that has many deliveries in
// hand at a time, and as qmail's own command line for one delivery.
//
// Trust: the parent names user, home and address; the address, the message
// and the variables made from them are hostile to the user; the .qmail file
// is the user's own, who may do with this process what he likes. It has his
// rights and no others, so that is no harm to anybody else.
//
// Invariants:
//
//  1. A delivery is reported as done only after every instruction succeeded;
//     for files that means durable, for forwards accepted by the queue.
//  2. Instructions are carried out in the file's order, the first failure ends
//     the delivery; forwards are handed in last, in one submission.
//  3. The only shell is that of the user's own program line. What comes from
//     the address or the message reaches it in environment variables, as
//     bytes; they are the documented ones of spec section 4.4, passed raw
//     because that is the contract of .qmail programs. A shell that evaluates
//     the values of variables must not be used there.
//  4. The process never changes its directory: names are relative to the open
//     home directory of each delivery.
//  5. A program of a worker has descriptors 0, 1 and 2 only, limits
//     (internal/limits), and an end at its time limit with all that it has
//     started (internal/offspring). A child that it leaves behind before holds
//     up nothing.
//  6. The report of a delivery is at most maxReport bytes.
//  7. Memory does not depend on the size of the message.
//
// Failures are temporary but: no such mailbox, a loop, a mailbox over its quota
// (control/overquota), and a program, a queue or a delivery server that says so.
//
//	main.go         Main: which form
//	commandline.go  qmail's form: qmail-local [-nN] user homedir local dash ext domain sender defaultdelivery
//	worker.go       the form with many deliveries, under qmail-lspawn
//	results.go      the way of results to qmail-lspawn
//	agent.go        what the deliveries of a process share
//	delivery.go     one delivery: the order of work
//	home.go         the home directory and the instruction file
//	alias.go        what the tables of aliases say
//	dotforward.go   .forward files
//	loop.go         loop detection
//	lines.go        the lines that are added, and the sender of forwards
//	environment.go  the variables of programs
//	files.go        Maildir and mbox
//	quota.go        Maildirs with a quota, and the warning of their users
//	vpopmail.go     users of a domain that vpopmail keeps
//	lmtp.go         delivery servers
//	program.go      programs
//	forward.go      forwards
//	message.go      the message and its readers
//	explain.go      why -n says what it says
//	report.go       what is said about a delivery
package qmaillocal
