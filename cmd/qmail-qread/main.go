// Qmail-qread lists the messages in the queue and their recipients.
//
//	Runs as      root or qmails; anybody else sees what he has handed in
//	Started by   administrators, monitoring, sendmail -bp, mailq
//	Reads        queue/new, queue/info, or files that qmail-send hands over;
//	             control/me, locals, virtualdomains,
//	             percenthack, envnoathost; addresses in the queue are hostile
//	Writes       standard output
//	May          nothing else
//	Must not     change or lock anything
//	Trusts       the control files
//	If captured  the attacker, who must have put a message in the queue, has the
//	             rights of whoever looked at it
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/qmail-queue/show"
)

func main() { os.Exit(show.Read(world.Real())) }
