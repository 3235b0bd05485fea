// Mailsubj sends what it reads to people, with a subject.
//
//	Runs as      whoever starts it; it is not setuid
//	Started by   users and their scripts
//	Reads        as qmail-inject does
//	Writes       as qmail-inject does
//	May          what its caller may; starts $QMAILQUEUE
//	Must not     need a privilege
//	Trusts       the control files, the answer of qmail-spool
//	If captured  the attacker is its caller still
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/qmail-queue/inject"
)

func main() { os.Exit(inject.MailSubj(world.Real())) }
