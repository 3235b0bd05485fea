// Qmail-qmqpc hands one message to the queue of another host, in place of
// qmail-queue.
//
//	Runs as      whoever starts it; it is not setuid
//	Started by   whatever starts qmail-queue, where QMAILQUEUE names it or where
//	             it has qmail-queue's name
//	Reads        the message on descriptor 0, the envelope on descriptor 1
//	             (hostile); control/qmqpservers (ours); one answer (hostile)
//	Writes       to the server
//	May          what its caller may; connect to the servers
//	Must not     need a privilege
//	Trusts       the server's word that the message is queued
//	If captured  the attacker is its caller still
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/qmail-queue/qmqpc"
)

func main() { os.Exit(qmqpc.Main(world.Real())) }
