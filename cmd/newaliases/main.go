// Newaliases says that there is no alias database to rebuild.
//
//	Runs as      whoever starts it
//	Started by   administrators, installers of other programs
//	Reads        nothing
//	Writes       standard error
//	May          nothing else
//	Must not     claim to have rebuilt anything
//	Trusts       nothing
//	If captured  impossible: it has no input
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/qmail-queue/inject"
)

func main() { os.Exit(inject.NewAliases(world.Real())) }
