// Qmail-nss asks the name services of the machine for accounts that /etc/passwd
// does not have.
//
// Runs as:     qmailu:nofiles
// Started by:  qmail-start, where /etc/nsswitch.conf names more than files
// Reads:       control/nssprobe, /etc/nsswitch.conf (the administrator's);
//
//	questions of qmail-lspawn and qmail-lookup (hostile: parts of addresses);
//	what getent says (the system's)
//
// Writes:      its answers, its log
// May:         run getent, which may use the network, and kill it
// Must not:    run anything else; touch the queue or users' files
// Trusts:      qmail-start; getent and what the machine's accounts come from
// If captured: an attacker can have mail for names that are not in /etc/passwd
//
//	delivered as any user above the minimum uid, into that user's own files, and
//	have such mail refused
package main

import (
	"fmt"
	"os"

	"postrider/internal/footprint"
	"postrider/internal/priv"
	"postrider/internal/world"
	"postrider/qmail-local/nss"
)

func main() {
	if err := priv.Enter("qmail-nss"); err != nil {
		fmt.Fprintf(os.Stderr, "qmail-nss: fatal: %v\n", err)
		os.Exit(111)
	}
	footprint.OneProcessor()
	os.Exit(nss.Main(world.Real()))
}
