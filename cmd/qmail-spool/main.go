// Qmail-spool takes messages in and keeps the entries of the queue.
//
//	Runs as      qmailq, group qmails, supplementary group qmailq
//	Started by   qmail-start, with the control channel on descriptor 3
//	Reads        control channel (ours), submitters on the public socket and
//	             over the channels of daemons (hostile), queue/drop (hostile),
//	             questions of qmail-send (hostile), control/ (the administrator's)
//	Writes       queue/tmp, queue/new, queue/bad, queue/drop (removal only),
//	             queue/lock/spool; its log on standard error
//	May          nothing else
//	Must not     use the network, read other files, execute
//	Trusts       qmail-start
//	If captured  the attacker reads, forges and deletes mail in the queue; he
//	             has no network, no user's rights, no key and no password
package main

import (
	"fmt"
	"os"

	"postrider/internal/footprint"
	"postrider/internal/priv"
	"postrider/internal/world"
	"postrider/qmail-queue/spool"
)

func main() {
	if err := priv.Enter("qmail-spool"); err != nil {
		fmt.Fprintln(os.Stderr, "qmail-spool: fatal:", err)
		os.Exit(111)
	}
	footprint.OneProcessor()
	os.Exit(spool.Main(world.Real()))
}
