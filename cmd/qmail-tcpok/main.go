// Qmail-tcpok makes qmail-remote forget to which hosts connections have timed
// out.
//
//	Runs as      root or qmailr; nobody else can write the table
//	Started by   administrators
//	Reads        nothing
//	Writes       queue/lock/tcpto
//	May          nothing else
//	Must not     touch the queue
//	Trusts       nothing
//	If captured  as good as impossible: it reads nothing
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/qmail-remote/tcpto"
)

func main() { os.Exit(tcpto.Clear(world.Real())) }
