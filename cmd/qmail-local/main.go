// Qmail-local delivers messages to one user, as that user.
//
// Runs as:     the recipient's uid and gid, with no other group and no capability
// Started by:  qmail-lspawn as a worker for many deliveries; by hand in qmail's form
// Reads:       jobs on descriptor 3 (ours); message descriptors (hostile content);
//
//	the user's .qmail and .forward files (his); the tables of aliases and the
//	lists that they name (the administrator's), as the user alias
//
// Writes:      the user's Maildirs and mboxes; the queue through its public socket;
//
//	delivery servers, by LMTP
//
// May:         what its user may; fork and execute the user's programs
// Must not:    serve two users; change its uid; follow anything but the user's own files
// Trusts:      its parent for the address and the home
// If captured: an attacker has the user's files and mail that arrives for him,
//
//	and nothing of anybody else
package main

import (
	"fmt"
	"os"

	"postrider/internal/footprint"
	"postrider/internal/priv"
	"postrider/internal/world"
	qmaillocal "postrider/qmail-local"
)

func main() {
	if err := priv.Enter("qmail-local"); err != nil {
		fmt.Fprintf(os.Stderr, "qmail-local: fatal: %v\n", err)
		os.Exit(111)
	}
	footprint.OneProcessor()
	os.Exit(qmaillocal.Main(world.Real()))
}
