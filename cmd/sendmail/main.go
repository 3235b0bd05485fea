// Sendmail takes a message in the way that programs have called sendmail for
// decades. A link to it by the name of mailq or newaliases is that program.
//
//	Runs as      whoever starts it; it is not setuid
//	Started by   cron, web applications, mail readers, users
//	Reads        as qmail-inject does
//	Writes       as qmail-inject does
//	May          what its caller may; starts $QMAILQUEUE, becomes qmail-qread
//	             (-bp) or qmail-smtpd (-bs)
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
	os.Exit(inject.Sendmail(world.Real()))
}
