// Package filter is the program qmail-filter, a sub-room of "in by network":
// for qmail-smtpd, which itself executes nothing and connects nowhere, it runs the
// programs that QMAILQUEUE in control/tcp.smtp names, and asks the milters in
// control/milters.
//
// Only cmd/qmail-filter imports it. What qmail-smtpd sends is hostile; the
// control files are the administrator's, and so are the programs and milters,
// which mail may have broken.
//
// Invariants:
//
//  1. A program runs only if control/tcp.smtp, as it is now, names it for the
//     address that the client is said to have. Its environment is what
//     qmail-start was called with, the rule's variables, and of what qmail-smtpd
//     says the variables of internal/wire/filter alone.
//  2. It runs only once the whole message is here: a slow client holds no
//     program.
//  3. It has limits (internal/limits) and an end: at its time limit it is killed
//     with all that it has started (internal/offspring).
//  4. Success is reported only if the program has read everything and exited 0.
//     Without such a program, without room and without time the message is
//     refused for now.
//  5. A milter is asked only if control/milters, as it is now, names it. What
//     comes back to qmail-smtpd is what the milters made of the message that
//     came, whole or not at all.
//
// Files:
//
//	main.go         the program: its settings
//	examine.go      these for qmail-showctl
//	daemon.go       links, connections, shutdown
//	intake.go       a message that comes over a connection
//	transaction.go  a transaction that milters are asked about
//	quarantine.go   where messages go that a milter wants in quarantine
//	message.go      one message: taking it
//	run.go          one message: passing it through its program
//	output.go       what the program says on descriptor 2
package filter
