// Qmail-qmqpd queues the mail of hosts that have no queue, by QMQP.
//
// Runs as: qmaild, group nofiles; under tcpserver, whoever that runs it as.
//
// Started by: qmail-start where control/qmqplisten names an address, as a daemon
// that serves the listening sockets it is handed; or by tcpserver, for one
// connection on descriptors 0 and 1.
//
// Reads: the connections (hostile, though only from the addresses in
// control/qmqphosts); control/me, qmqphosts, maxrcpt, timeoutsmtpd,
// timeoutsmtpdsession, minratesmtp and concurrencyqmqp (ours). In the classic
// form the environment of tcpserver (its caller's).
//
// Writes: answers; messages, to qmail-spool over its link; its log to
// descriptor 2. In the classic form messages go over the public socket, or
// into queue/drop. No other file.
//
// May: accept connections on the sockets it is handed. In the classic form:
// execute the program in QMAILQUEUE.
//
// Must not: connect to the network; read the queue; as a daemon, execute
// anything.
//
// Trusts: qmail-start for its sockets and link; qmail-spool's answers; the
// administrator's files.
//
// If captured: the attacker submits any message "from network", for any sender
// and recipient, and sees the mail that arrives by QMQP from then on. He
// neither sees nor changes what is queued or delivered.
package main

import (
	"fmt"
	"os"

	"postrider/internal/footprint"
	"postrider/internal/priv"
	"postrider/internal/world"
	"postrider/smtpd/qmtp"
)

func main() {
	if err := priv.Enter("qmail-qmqpd"); err != nil {
		fmt.Fprintf(os.Stderr, "qmail-qmqpd: fatal: %v\n", err)
		os.Exit(111)
	}
	footprint.OneProcessor()
	os.Exit(qmtp.QMQP(world.Real()))
}
