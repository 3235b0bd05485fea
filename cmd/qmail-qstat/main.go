// Qmail-qstat counts the messages in the queue.
//
//	Runs as      root or qmails; anybody else learns that that is needed
//	Started by   administrators, monitoring
//	Reads        names in queue/new and queue/drop
//	Writes       standard output
//	May          nothing else
//	Must not     change, lock or open a message
//	Trusts       the names in queue/new
//	If captured  as good as impossible: it reads no content
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/qmail-queue/show"
)

func main() { os.Exit(show.Stat(world.Real())) }
