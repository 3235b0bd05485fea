// Package qmailremote takes mail to other hosts: it is qmail-remote, as a
// worker that serves qmail-send and in its classic form.
//
// Only cmd/qmail-remote imports it. Everything the DNS and other hosts say is
// hostile. Jobs and control files are believed, addresses are checked again.
//
// Invariants:
//
//  1. Every recipient of a job gets exactly one result. Permanent is only
//     what the DNS or a server in step with us said so; all trouble of the
//     connection is temporary.
//  2. Once the end mark of a message may have gone out complete, only the
//     server's answer tells: without one the result is temporary, says
//     "Possible duplicate!", and no other host is tried (RFC 1047).
//  3. On the wire CR and LF occur as CRLF only, and one end mark ends each
//     message, whatever is stored and whatever addresses hold.
//  4. A connection is used again only while client and server are in step:
//     nothing unread, nothing unanswered, no failed write.
//  5. A connection used again can delay a message but never fail it: refusals
//     of the sender count only on a fresh connection.
//  6. No mail is sent to this machine because of an MX record.
//  7. Nothing is written but to sockets and the log; nothing is executed; no
//     name is looked up but through internal/resolver.
//
// Files:
//
//	main.go         worker or classic form
//	worker.go       jobs from qmail-send, the end of the worker
//	link.go         one connection to qmail-send, results in packets
//	classic.go      "qmail-remote host sender recipient..."
//	settings.go     control files and resolv.conf, read again when changed
//	client.go       one message: address after address until one settles it
//	targets.go      which addresses, in which order
//	route.go        control/smtproutes and address literals
//	own.go          which addresses are this machine
//	down.go         addresses that time out
//	pool.go         connections at rest
//	session.go      one connection: greeting, commands, replies, end
//	transaction.go  one message on a connection
//	utf8.go         what needs SMTPUTF8, and what is done without it
//	body.go         the message
//	reports.go      outcomes and qmail's texts for them
package qmailremote
