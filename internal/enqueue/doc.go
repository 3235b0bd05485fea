// Package enqueue puts a message into the queue on behalf of a program that
// runs as a user: qmail-queue, qmail-inject, sendmail, and what .qmail files
// start.
//
// Rooms may import it. It links neither net nor os/exec nor os/user, so that
// such programs start fast. The caller's message is opaque; addresses are
// checked here. What qmail-spool or a queue program answers is believed.
//
// A message takes one of three ways: through the program that $QMAILQUEUE
// names (spec section 1.2), or through qmail-qmqpc where that stands in for
// qmail-queue; else to qmail-spool over the public socket; else,
// if that does not answer, durable into the directory drop/.
//
// Invariants:
//
//  1. Commit returns nil only after the message is durable, or the queue
//     program said so.
//  2. A message that fits into memory goes to qmail-spool at Commit, in one
//     piece; if the connection is lost, it goes into drop/ with the same
//     nonce, so that it becomes one entry whatever qmail-spool had done.
//  3. A larger one whose connection is lost is not accepted: its commit was
//     not sent, or its outcome is unknown.
//  4. Nothing visible is left in drop/ after an error.
//
// Every error is temporary but those that exit.go lists as permanent.
//
// Files: submission.go the caller's view; direct.go memory, socket or drop/;
// socket.go the way to qmail-spool; drop.go the way into drop/; program.go the
// way through a queue program, watch.go its end; exit.go exit codes and their
// texts; answer.go what qmail-spool's answers mean.
package enqueue
