// qmail-smtpd takes mail from the network by SMTP.
//
//	Runs as     qmaild:nofiles; under tcpserver, whoever that runs it as.
//	Started by  qmail-start, as a daemon that serves the listening sockets it
//	            is handed; or by tcpserver, for one connection on fds 0 and 1.
//	Reads       the connections (hostile), control/ (the administrator's),
//	            the environment of tcpserver (its caller's).
//	Writes      replies, messages into the queue, its log to fd 2.
//	May         accept connections; make connections to qmail-spool over its
//	            link. Classic form only: execute the program in QMAILQUEUE.
//	Must not    connect to the network, read the queue, a private key or a
//	            password; the daemon executes nothing.
//	Trusts      qmail-start, control/, qmail-spool's answers.
//	If captured an attacker can submit any message "from network", for any
//	            sender and recipient, and see the mail that arrives meanwhile; he
//	            cannot see or change what is queued or delivered.
package main

import (
	"fmt"
	"os"

	"postrider/internal/priv"
	"postrider/internal/world"
	"postrider/smtpd"
)

func main() {
	if err := priv.Enter("qmail-smtpd"); err != nil {
		fmt.Fprintln(os.Stderr, "qmail-smtpd: fatal:", err)
		os.Exit(111)
	}
	os.Exit(smtpd.Main(world.Real()))
}
