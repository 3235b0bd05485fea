// Qmail-vlookup tells qmail-lookup who has a mailbox in the domains of vpopmail,
// where only their user may look.
//
//	Runs as      whom control/vpopmailuser names, with that user's group, confined;
//	             root and users of the suite are refused
//	Started by   qmail-start, where control/vpopmailuser names a user
//	Reads        control/vpopmail, dotforward, break (the administrator's);
//	             questions of qmail-lookup, vpasswd.cdb, .qmail and maildirsize files (hostile)
//	Writes       its answers, its log
//	May          look at what that user may read
//	Must not     write or make files, use the network, execute
//	Trusts       qmail-start; the administrator's files
//	If captured  an attacker reads what that user may, among it the mail and the
//	             hashes of the passwords of vpopmail's users, and can have mail for them refused
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
	if err := priv.Enter("qmail-vlookup"); err != nil {
		fmt.Fprintf(os.Stderr, "qmail-vlookup: fatal: %v\n", err)
		os.Exit(111)
	}
	footprint.OneProcessor()
	os.Exit(lookup.DomainsMain(world.Real()))
}
