// Qmail-lookup tells qmail-smtpd whether a recipient has a mailbox.
//
// Runs as:     qmailp:nofiles, confined
// Started by:  qmail-start, where qmail-smtpd listens; qmail-explain, with --steps
// Reads:       control/me, locals, virtualdomains, percenthack, envnoathost and
//
//	localuidmin, break, dotforward, aliases and the tables that it names, users/cdb, /etc/passwd, /etc/group (the administrator's);
//	questions of qmail-smtpd, .qmail and maildirsize files (hostile)
//
// Writes:      its answers, its log
// May:         look at what everybody may read
// Must not:    write or make files, use the network, execute
// Trusts:      qmail-start; the administrator's files
// If captured: an attacker learns who has a mailbox, and what everybody on
//
//	this machine may read; he can have mail for anybody refused, and mail for
//	nobody accepted and bounced
package main

import (
	"fmt"
	"os"

	"postrider/internal/footprint"
	"postrider/internal/priv"
	"postrider/internal/world"
	"postrider/qmail-local/lookup"
)

func main() {
	if err := priv.Enter("qmail-lookup"); err != nil {
		fmt.Fprintf(os.Stderr, "qmail-lookup: fatal: %v\n", err)
		os.Exit(111)
	}
	footprint.OneProcessor()
	os.Exit(lookup.Main(world.Real()))
}
