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
//  7. No password and no token is in a report or in the log, or goes over the
//     network in clear unless the administrator says so.
//  8. No mail goes over a connection that has not what is asked for. Who cannot
//     be asked what that is makes mail wait.
//  9. A message that control/dkimsign wants signed goes out signed or not at all,
//     and what is signed is what goes out.
//  10. Nothing is written but to sockets, the log and the table of hosts that time
//     out; nothing is executed; no
//     name is looked up but through internal/resolver.
//
// Files:
//
//	main.go         worker or classic form
//	worker.go       jobs from qmail-send, the end of the worker
//	link.go         one connection to qmail-send, results in packets
//	classic.go      "qmail-remote host sender recipient..."
//	explain.go      "qmail-remote --explain recipient [sender]"
//	steps.go        where mail would go, for qmail-explain
//	settings.go     control files and resolv.conf, read again when changed
//	examine.go      the same for qmail-showctl
//	waits.go        how long each step may take
//	client.go       one message, and connections for it
//	walk.go         address after address until one settles it
//	race.go         both families at once
//	unwelcome.go    refusals because of our address
//	targets.go      which addresses, in which order
//	route.go        routes of domains and senders, and address literals
//	credentials.go  who we are at relays
//	outgoing.go     control/outgoingip
//	proxies.go      proxies of SOCKS5 in it
//	own.go          which addresses are this machine
//	down.go         addresses that time out
//	hosts.go        whose hosts are the same
//	throttled.go    refusals because of too much mail
//	pool.go         connections at rest
//	session.go      one connection: greeting, commands, replies, end
//	auth.go         logging in
//	tlsplan.go      what connections must have for the mail of a domain
//	tlsdane.go      what TLSA records ask for
//	tlssts.go       what MTA-STS asks for
//	tlslevel.go     what a connection must have, and whether a certificate has it
//	requiretls.go   REQUIRETLS, and TLS-Required: No
//	tlsreports.go   what sessions found, for qmail-tlsrpt
//	tlsmemory.go    hosts that had TLS before
//	tls.go          STARTTLS, the handshake, what reports say of it
//	tlsconn.go      the connection below TLS
//	clientcert.go   the certificate that this host shows
//	dkim.go         whether a message is signed, and as what
//	signer.go       signatures, by the keys of qmail-tlskey
//	stacked.go      a message below its signatures
//	transaction.go  one message on a connection
//	chunk.go        messages for servers that know their length before
//	split.go        several transactions, for servers with limits
//	limits.go       the limits that a server announces
//	lmtp.go         what is different in LMTP
//	qmtp.go         one message by QMTP
//	utf8.go         what needs SMTPUTF8, and what is done without it
//	downgrade.go    what a server without 8BITMIME gets
//	body.go         the message
//	head.go         its header, for all who ask about it
//	reports.go      outcomes and qmail's texts for them
package qmailremote
