// Qmail-tcpto shows to which hosts connections have timed out lately.
//
//	Runs as      root or qmailr; nobody else can read the table
//	Started by   administrators, monitoring
//	Reads        queue/lock/tcpto
//	Writes       standard output
//	May          nothing else
//	Must not     change the table
//	Trusts       nothing
//	If captured  as good as impossible: it reads records of a fixed size
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/qmail-remote/tcpto"
)

func main() { os.Exit(tcpto.Show(world.Real())) }
