// Qmail-queuectl shows the messages in the queue and changes them while the
// suite runs: holds, releases, tries again, deletes, bounces, reroutes;
// moves them from and to other queues, and checks the queue.
//
//	Runs as      root; anybody else sees and deletes what he has handed in
//	Started by   administrators, users, monitoring
//	Reads        queue/new, queue/info, check all of queue/, if it may; addresses
//	             and reasons in the queue are hostile, and so are queue/drop,
//	             archives and queues to import
//	Writes       standard output; queue/manage.sock; import also queue/new and
//	             queue/info, as their owners; check --repair names, owners and
//	             modes below queue/, following no link
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
