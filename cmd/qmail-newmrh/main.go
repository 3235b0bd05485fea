// Qmail-newmrh turns control/morercpthosts into control/morercpthosts.cdb,
// which qmail-smtpd reads.
//
//	Runs as      root, since it writes into Q/control
//	Started by   the administrator, tools for virtual domains
//	Reads        control/morercpthosts (ours)
//	Writes       control/morercpthosts.cdb, through morercpthosts.tmp
//	May          what its caller may
//	Must not     use the network, start programs
//	Trusts       control/morercpthosts
//	If captured  the attacker is its caller still
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/smtpd/tables"
)

func main() { os.Exit(tables.NewMRH(world.Real())) }
