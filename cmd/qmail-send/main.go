// qmail-send decides: it routes messages, gives out deliveries, and records,
// retries, bounces or removes what comes of them.
//
// Runs as:    qmails, group qmails.
// Started by: qmail-start, which restarts it.
// Reads:      queue/new (ours, checked again), queue/info (its own), control/
// (the administrator's); what qmail-spool, qmail-lspawn and the qmail-remote
// workers say on their links (checked against what they were asked); what
// anybody says on queue/manage.sock (hostile; the kernel says who it is).
// Writes:     queue/info, queue/lock/sendmutex (a lock), the log.
// May:        submit bounces through qmail-spool.
// Must not:   use the network, run programs, open users' files, write queue/new.
// Trusts:     qmail-start's control channel, which has the secret of SRS.
// If captured: the attacker reads all queued mail, delays or drops it, has it
// delivered anywhere and sends mail; he has no key, no password and no user's
// files.
package main

import (
	"fmt"
	"os"

	"postrider/internal/footprint"
	"postrider/internal/priv"
	"postrider/internal/world"
	qmailsend "postrider/qmail-send"
)

func main() {
	if err := priv.Enter("qmail-send"); err != nil {
		fmt.Fprintf(os.Stderr, "qmail-send: fatal: %v\n", err)
		os.Exit(111)
	}
	footprint.OneProcessor()
	os.Exit(qmailsend.Main(world.Real()))
}
