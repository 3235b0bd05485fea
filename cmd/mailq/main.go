// Mailq is qmail-qread by the name that Sendmail gave it.
//
//	Runs as      root or qmails; anybody else sees what he has handed in
//	Started by   administrators, monitoring
//	Reads        as qmail-qread does
//	Writes       standard output
//	May          nothing else
//	Must not     change or lock anything
//	Trusts       the control files
//	If captured  as qmail-qread
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/qmail-queue/show"
)

func main() { os.Exit(show.Read(world.Real())) }
