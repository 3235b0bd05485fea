// Package smtpd is the room "in by network": the program qmail-smtpd, which
// takes mail by SMTP and hands it to the queue.
//
// Only cmd/qmail-smtpd imports it. What clients send is hostile; control
// files, rules and the environment of tcpserver are the administrator's, but
// may be damaged; what qmail-spool answers is believed.
//
// Invariants:
//
//  1. 250 behind a message is said only after the queue has said that it is
//     durable. Whatever goes wrong before is 451 or 5xx, and nothing is queued.
//  2. Only CR LF . CR LF ends a message after DATA. One with a bare CR or LF is
//     refused for good, behind its real end (R30).
//  3. Octets that a client sends behind DATA before the 354 are neither run as
//     commands nor queued (R35), and octets of a chunk never are commands,
//     whatever is wrong with its BDAT (R34). The first words of HTTP or TLS end
//     the session (R55).
//  4. Nothing is queued for a domain outside rcpthosts from a client without
//     RELAYCLIENT. Without rcpthosts only local domains are taken. A control
//     file that cannot be read means that nothing is (R49, R79).
//  5. No envelope holds CR, LF, NUL or other control characters; the Received
//     line holds only harmless characters of the client's (R36, R37).
//  6. What a password is compared with is in another process. No line of the
//     log holds anything of a password, whether AUTH was accepted or not.
//  7. Memory is bounded whatever arrives: an idle session holds little, what
//     sessions borrow has a common bound, lines and envelopes have limits (R42).
//  8. A session ends: each command has one deadline for all its octets, each
//     silence inside a message has one, its text has a lowest rate, and the
//     session has a deadline (R60).
//  9. Nothing that came before a TLS handshake counts behind it (R32). No
//     private key is here: qmail-tlskey signs.
//  10. In a domain that is delivered here nothing is queued for a recipient
//     whom qmail-lookup does not know, or does not know now, from a client
//     that may not relay; verifyrcpt can switch that off.
//  11. A check that the administrator wants and that cannot be made refuses for
//     now. A list in the DNS that does not answer is the one exception
//     (dnsblfailclosed).
//
// Files:
//
//	main.go        which of the two forms runs
//	daemon.go      the form under qmail-start: listeners, sessions, shutdown
//	classic.go     the form on descriptors 0 and 1, under tcpserver
//	settings.go    what the control files say
//	controls.go    reading them again when they change
//	examine.go     the same for qmail-showctl
//	peer.go        what is known about the client; its variables
//	session.go     one session: its loop, deadlines, end
//	verbs.go       the table of commands, and the small ones
//	envelope.go    MAIL and RCPT
//	path.go        their addresses
//	recipient.go   whether a recipient has a mailbox
//	explain.go     what a client would be told, for qmail-explain
//	policy.go      lists of who is refused
//	dnspolicy.go   what is checked of clients by the DNS, and the greylist
//	dnslists.go    lists of addresses in the DNS
//	spf.go         SPF
//	rates.go       how much one client may do
//	parameters.go  their parameters
//	data.go        DATA and the message
//	chunk.go       BDAT
//	binary.go      BODY=BINARYMIME
//	pace.go        the lowest rate of message text
//	received.go    the Received line
//	results.go     Authentication-Results
//	tls.go         STARTTLS and the handshake
//	tlsconn.go     a connection inside TLS
//	tlsclients.go  who may relay by a certificate
//	keys.go        certificates, whose keys qmail-tlskey has
//	auth.go        AUTH: who may say it, its exchanges, what follows
//	authmethods.go its mechanisms
//	authlink.go    who checks the passwords: qmail-auth
//	authprogram.go who does in the classic form: a program
//	proxy.go       connections that a proxy passes on
//	xclient.go     XCLIENT
//	replies.go     all replies
//	input.go       buffered input of a session; command lines
//	budget.go      memory that sessions borrow
//	network.go     sockets
//	queue.go       what a session asks of the queue
//	spool.go       the queue of the daemon: connections to qmail-spool
//	pipeline.go    the one that short messages share
//	again.go       short messages whose answer was lost
//	programs.go    the queue of the classic form
//	milter.go      milters: what is asked about a transaction, and their changes
//	filter.go      the queue of clients with a filter: qmail-filter
//	counts.go      what is counted
//	service.go     what sessions share; log lines
package smtpd
