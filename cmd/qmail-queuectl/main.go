// Qmail-queuectl shows the messages in the queue and changes them while the
// suite runs: holds, releases, tries again, deletes, bounces, reroutes; and
// moves them from and to other queues.
//
//	Runs as      root; anybody else sees and deletes what he has handed in
//	Started by   administrators, users, monitoring
//	Reads        queue/new, queue/info, if it may; addresses and reasons in the
//	             queue are hostile, and so are archives and queues to import
//	Writes       standard output; queue/manage.sock; import also queue/new and
//	             queue/info, as their owners
//	May          nothing else
//	Must not     use the network, execute
//	Trusts       what qmail-send says
//	If captured  the attacker, who must have put a message in the queue, has the
//	             rights of whoever looked at it
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/qmail-queue/queuectl"
)

func main() { os.Exit(queuectl.Main(world.Real())) }
