// Newaliases checks the tables of aliases and makes their databases.
//
//	Runs as      whoever starts it
//	Started by   administrators, installers of other programs
//	Reads        control/aliases and the tables that it names
//	Writes       standard output and error; the databases beside the tables
//	May          nothing else
//	Must not     replace a database that another program has made
//	Trusts       the tables, after checking their form
//	If captured  what its caller could do anyway
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/qmail-queue/inject"
)

func main() { os.Exit(inject.NewAliases(world.Real())) }
