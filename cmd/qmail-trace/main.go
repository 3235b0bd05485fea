// Qmail-trace tells from the logs what happened to a message or an address.
//
//	Runs as      whoever starts it
//	Started by   administrators
//	Reads        its arguments, the files that they name or the usual logs,
//	standard input
//	Writes       standard output and error; a file without a name in $TMPDIR for
//	what is piped in
//	May          what its caller may
//	Must not     start programs, use the network, change anything
//	Trusts       nothing in the logs
//	If captured  its caller is: logs hold strangers' words
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/qmail-send/trace"
)

func main() { os.Exit(trace.Main(world.Real())) }
