// Tcprulescheck says which rule about connections counts for a client.
//
//	Runs as      whoever starts it
//	Started by   the administrator
//	Reads        rules, or a database of them (ours); its environment
//	Writes       standard output
//	May          what its caller may
//	Must not     use the network, start programs, write files
//	Trusts       nothing; a damaged database is an error
//	If captured  the attacker is its caller still
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/smtpd/tables"
)

func main() { os.Exit(tables.RulesCheck(world.Real())) }
