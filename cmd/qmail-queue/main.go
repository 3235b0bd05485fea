// Qmail-queue puts one message into the queue.
//
//	Runs as      whoever starts it; it is not setuid
//	Started by   qmail-inject, sendmail, mailing list managers, filters
//	Reads        the message on descriptor 0, the envelope on descriptor 1
//	             (hostile)
//	Writes       queue/submit.sock or, while that does not answer, a new file
//	             in queue/drop; a reason on descriptor 6 if that is a pipe
//	May          what its caller may
//	Must not     need a privilege
//	Trusts       the answer of qmail-spool
//	If captured  the attacker is its caller still
package main

import (
	"os"

	"postrider/internal/world"
	qmailqueue "postrider/qmail-queue"
)

func main() { os.Exit(qmailqueue.Main(world.Real())) }
