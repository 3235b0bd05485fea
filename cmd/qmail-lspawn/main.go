// Qmail-lspawn finds the user of each local recipient and hands the delivery
// to a qmail-local worker that runs as that user.
//
// Runs as:     qmailw:nofiles with the capabilities SETUID, SETGID and KILL only
// Started by:  qmail-start
// Reads:       users/cdb, /etc/passwd, control/localuidmin, break, aliases and the
//
//	tables that it names (the administrator's); what qmail-nss says of names (ours);
//
//	jobs of qmail-send (ours in form; addresses hostile); results of workers (hostile)
//
// Writes:      nothing but its log
// May:         start qmail-local as a recipient's user, and kill it
// Must not:    start anything as uid 0 or as a user of the suite; read a message;
//
//	use the network; believe a uid that it is told
//
// Trusts:      qmail-start; the administrator's files
// If captured: an attacker can act as every user above the minimum uid, but not
//
//	as root or as a user of the suite, which the kernel refuses, and has no file of the queue but the messages that pass
package main

import (
	"fmt"
	"os"

	"postrider/internal/footprint"
	"postrider/internal/priv"
	"postrider/internal/world"
	"postrider/qmail-local/lspawn"
)

func main() {
	if err := priv.Enter("qmail-lspawn"); err != nil {
		fmt.Fprintf(os.Stderr, "qmail-lspawn: fatal: %v\n", err)
		os.Exit(111)
	}
	footprint.OneProcessor()
	os.Exit(lspawn.Main(world.Real()))
}
