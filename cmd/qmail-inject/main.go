// Qmail-inject makes a complete message of what a user wrote and queues it.
//
//	Runs as      whoever starts it; it is not setuid
//	Started by   users, mail readers, programs in .qmail files
//	Reads        standard input, its arguments and environment (hostile);
//	             control/me, defaultdomain, defaulthost, idhost, plusdomain;
//	             the file that QMAILMFTFILE names
//	Writes       queue/submit.sock, or a new file in queue/drop, or the program
//	             that QMAILQUEUE names; standard output with -n
//	May          what its caller may; starts $QMAILQUEUE
//	Must not     need a privilege
//	Trusts       the control files, the answer of qmail-spool
//	If captured  the attacker is its caller still
package main

import (
	"os"

	"postrider/internal/footprint"
	"postrider/internal/world"
	"postrider/qmail-queue/inject"
)

func main() {
	footprint.OneProcessor() // the collector keeps pace: its memory has a bound
	os.Exit(inject.Main(world.Real()))
}
