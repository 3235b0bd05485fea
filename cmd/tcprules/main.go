// Tcprules makes a database of rules about connections, for tcpserver and for
// control/tcp.smtp.cdb.
//
//	Runs as      whoever starts it; root, where only root writes the database
//	Started by   the administrator, his scripts
//	Reads        rules on standard input (ours)
//	Writes       the files that its arguments name
//	May          what its caller may
//	Must not     use the network, start programs
//	Trusts       its arguments, the rules
//	If captured  the attacker is its caller still
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/smtpd/tables"
)

func main() { os.Exit(tables.Rules(world.Real())) }
