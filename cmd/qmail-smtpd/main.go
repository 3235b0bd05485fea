// qmail-smtpd takes mail from the network by SMTP.
//
// Runs as: qmaild, group nofiles; under tcpserver, whoever that runs it as.
//
// Started by: qmail-start, as a daemon that serves the listening sockets it is
// handed; or by tcpserver, for one connection on descriptors 0 and 1.
//
// Reads: the connections (hostile); control/me, smtpgreeting, localiphost,
// timeoutsmtpd, timeoutsmtpdsession, databytes, maxrcpt, rcpthosts,
// morercpthosts.cdb, locals, percenthack, envnoathost, badmailfrom, badmailto,
// badrcptto, badhelo, authcram, authinsecure, verifyrcpt, concurrencysmtp,
// concurrencysmtpip, proxyhosts, xclienthosts, tlsclients, clientca.pem,
// tcp.smtp and others of docs/control.md (ours). In the classic form the
// environment of tcpserver instead of those from verifyrcpt on (its caller's).
//
// Asks: qmail-lookup whether recipients exist; qmail-policy what the DNS says of
// a client and a sender, and whether mail was tried before; qmail-tlskey for certificates,
// and for the signature of each TLS handshake; qmail-auth, or qmail-checkpass,
// whether a password is right. In the classic form it runs the checkpassword
// program of its arguments.
//
// Writes: replies; messages, to qmail-spool over its link; its log to
// descriptor 2. In the classic form messages go over the public socket, or
// into queue/drop. No other file.
//
// May: accept connections on the sockets it is handed. In the classic form:
// execute the program in QMAILQUEUE.
//
// Must not: connect to the network; read the queue, a private key or a
// password; as a daemon, execute anything.
//
// Trusts: qmail-start for its sockets and link; qmail-spool's answers; the
// administrator's files.
//
// If captured: the attacker submits any message "from network", for any sender
// and recipient, and sees the mail that arrives from then on. He can pose as this
// host in TLS for as long as he is there, and takes no key with him. He neither sees
// nor changes what is queued or delivered.
package main

import (
	"fmt"
	"os"

	"postrider/internal/footprint"
	"postrider/internal/priv"
	"postrider/internal/world"
	"postrider/smtpd"
)

func main() {
	if err := priv.Enter("qmail-smtpd"); err != nil {
		fmt.Fprintf(os.Stderr, "qmail-smtpd: fatal: %v\n", err)
		os.Exit(111)
	}
	footprint.HalfTheProcessors()
	os.Exit(smtpd.Main(world.Real()))
}
