// Package qmtp is the servers of QMTP and QMQP: the programs qmail-qmtpd, which
// takes mail from other hosts, and qmail-qmqpd, which queues the mail of hosts
// that have no queue.
//
// Only cmd/qmail-qmtpd and cmd/qmail-qmqpd import it. What clients send is
// hostile; control files, rules and the environment of tcpserver are the
// administrator's, but may be damaged; what qmail-spool answers is believed.
//
// # QMTP
//
// Netstrings, on port 209, as many times as the client likes and without
// waiting for answers (spec section 8.2):
//
//	message     its first octet says how lines end: LF, or CR for CR LF
//	sender
//	recipients  one netstring each, in a netstring
//
// and for each recipient, in order, a netstring that begins with K (queued), Z
// (not now) or D (never).
//
// # QMQP
//
// One netstring, on port 628, with those of the message, whose lines end with
// LF, the sender, and each recipient (spec section 8.3). One answer, as above,
// is for all of it.
//
// Invariants:
//
//  1. K is said only after the queue has said that the message is durable.
//  2. A connection that breaks off, or breaks the protocol, queues nothing of
//     the message that it was in, and gets no answer to it.
//  3. By QMTP nothing is queued for a domain outside rcpthosts from a client
//     without RELAYCLIENT. QMQP takes mail for everybody, and so only from the
//     addresses in qmqphosts; from this host if there is no such file. Under
//     tcpserver that is left to its rules, as in qmail. A control file that
//     cannot be read means that nothing is taken (R79).
//  4. By QMTP nothing is queued for a recipient of whom it is not known that there
//     is a mailbox, but as control/verifyrcpt and qmail-smtpd have it.
//  5. Memory is bounded whatever lengths are announced: a message is handed on
//     while it arrives, and so are its recipients (R42).
//  6. A session ends: each silence has a deadline, the text of a message a
//     lowest rate, and the session a deadline (R60). Under tcpserver it ends
//     after an hour.
//  7. No envelope holds CR, LF or NUL, the Received line only harmless
//     characters of the client's (R36, R37).
//
// Files:
//
//	main.go      the two programs, each in one of two forms
//	daemon.go    the form under qmail-start: listeners, sessions, shutdown
//	classic.go   the form on descriptors 0 and 1, under tcpserver
//	settings.go  what the control files say
//	examine.go   the same for qmail-showctl
//	peer.go      what is known about the client; its variables
//	session.go   one session: its deadlines and its end
//	qmtp.go      the dialogue of QMTP
//	qmqp.go      that of QMQP
//	message.go   one message: its text and its addresses
//	recipient.go whether it has a mailbox
//	answers.go   all answers
//	queue.go     what a session asks of the queue
//	spool.go     the queue of the daemon: messages on their way to qmail-spool
//	link.go      its connections (internal/submitlink)
//	budget.go    memory that sessions share
//	log.go       log lines
//	counts.go    what is counted
package qmtp
